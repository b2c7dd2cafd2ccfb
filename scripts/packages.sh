#!/usr/bin/env bash
# Installs what building and testing need, where it is missing. For Debian 12
# with LLVM 22 in the package sources; needs root only if something is missing.
# With --sanitize also what a build under sanitizers needs.
set -euo pipefail

packages=(
  clang-22 lld-22 llvm-22-dev llvm-22-tools libmlir-22-dev mlir-22-tools
  liblld-22-dev libomp-22-dev cmake ninja-build g++ git
  nlohmann-json3-dev libpcre2-dev libutf8proc-dev libcli11-dev libxxhash-dev
  libgtest-dev libgmock-dev zlib1g-dev libzstd-dev
  libffi-dev libxml2-dev binutils python3 python3-numpy
  qemu-user libc6-dev-arm64-cross libstdc++-12-dev-arm64-cross
)
[ "${1:-}" = --sanitize ] && packages+=(libclang-rt-22-dev)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
    missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "packages: all ${#packages[@]} are installed"
  exit 0
fi
echo "packages: installing ${missing[*]}"
run=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "packages: need root to install: ${missing[*]}" >&2
    exit 1
  }
  run=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
"${run[@]}" apt-get update -qq
"${run[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
