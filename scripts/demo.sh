#!/usr/bin/env bash
# Installs what is missing, builds, compiles the example model into one
# executable, generates text with it and prints its model card.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
model=$root/examples/tiny-moe/model
out=$root/build/tiny-moe

echo "demo: 1/4 packages"
"$root/scripts/packages.sh"
echo "demo: 2/4 build"
"$root/scripts/build.sh"
echo "demo: 3/4 moec examples/tiny-moe/model -o build/tiny-moe"
"$root/build/bin/moec" "$model" -o "$out"
echo "demo: 4/4 text from the model"
for prompt in "And the LORD said unto" "def __init__(self" "23+45="; do
  echo "--- build/tiny-moe run -p \"$prompt\" -n 48 --seed 1"
  printf '%s' "$prompt"
  "$out" run -p "$prompt" -n 48 --seed 1 --no-perf
done
echo "--- build/tiny-moe info"
"$out" info
