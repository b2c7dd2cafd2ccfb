#!/usr/bin/env python3
"""bench/memory.py finishes and fills its table: memory_test.py MOEC. No size or time is looked at."""
import subprocess
import sys
import tempfile

import bench_path

with tempfile.TemporaryDirectory() as folder:
    command = [sys.executable, f"{bench_path.FOLDER}/memory.py", "--moec", sys.argv[1], "--work", folder, "--layers", "1",
               "--hidden", "64"]
    done = subprocess.run(command, capture_output=True, text=True)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert len(rows) == 13 and all(line.count("|") == 4 for line in rows), rows
