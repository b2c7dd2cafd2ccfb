#!/usr/bin/env bash
# Configures and builds: scripts/build.sh [BUILD_DIR] [CMAKE_ARGUMENT ...]
# A second run does only what changed.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
case "${1:-}" in -*)
  echo "usage: scripts/build.sh [BUILD_DIR] [CMAKE_ARGUMENT ...]" >&2
  exit 2 ;;
esac
build=${1:-$root/build}
[ $# -gt 0 ] && shift
if [ ! -f "$build/build.ninja" ] || [ $# -gt 0 ]; then
  echo "build: configuring $build"
  cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release "$@" >"$build.configure.log" 2>&1 || {
    cat "$build.configure.log" >&2
    exit 1
  }
  mkdir -p "$build" && mv "$build.configure.log" "$build/configure.log"
fi
echo "build: compiling (a few minutes the first time)"
cmake --build "$build"
