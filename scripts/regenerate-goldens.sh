#!/bin/sh
# Makes everything under test/EndToEnd/golden anew: scripts/regenerate-goldens.sh [NAME ...]
# Installs the pinned oracle (5.5 GB) into build/oracle first, unless ORACLE_PYTHON names a Python that has it.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
tests=$root/test/EndToEnd
python=${ORACLE_PYTHON:-$root/build/oracle/bin/python}
if ! "$python" -c 'import torch, transformers' 2>/dev/null; then
  python3 -m venv "$root/build/oracle"
  python=$root/build/oracle/bin/python
  "$python" -m pip install -q -r "$tests/requirements.txt"
fi
exec "$python" "$tests/make_goldens.py" "$@"
