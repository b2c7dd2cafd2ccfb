#!/usr/bin/env bash
# Installs what is missing, builds, runs every test, and closes with one line
#   N passed, N failed
# scripts/test.sh --sanitize does the same in a build of its own under
# AddressSanitizer and UBSan.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build
arguments=()
case "${1:-}" in
"") ;;
--sanitize)
  build=$root/build-sanitize
  arguments=(-DMOE_SANITIZE=ON)
  # LLVM's libraries are not sanitized and share inline allocators with code
  # that is: one half poisons memory that the other does not know to unpoison.
  export ASAN_OPTIONS=detect_leaks=0:allow_user_poisoning=0
  ;;
*)
  echo "usage: scripts/test.sh [--sanitize]" >&2
  exit 2
  ;;
esac

echo "test: 1/3 packages"
"$root/scripts/packages.sh" "$@"
echo "test: 2/3 build"
"$root/scripts/build.sh" "$build" ${arguments[@]+"${arguments[@]}"}
echo "test: 3/3 tests"
status=0
ctest --test-dir "$build" --output-on-failure -j "$(nproc)" | tee "$build/test.log" || status=$?
# ctest counts its own entries; the closing line counts them too.
total=$(sed -n 's/.*tests failed out of \([0-9]*\)$/\1/p' "$build/test.log" | tail -1)
failed=$(sed -n 's/.*, \([0-9]*\) tests failed out of [0-9]*$/\1/p' "$build/test.log" | tail -1)
total=${total:-0}
failed=${failed:-$total}
if [ "$total" -eq 0 ]; then
  echo "0 passed, 1 failed (no tests found)"
  exit 1
fi
echo "$((total - failed)) passed, $failed failed"
exit "$status"
