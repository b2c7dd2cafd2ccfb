#!/usr/bin/env python3
"""Runs this example as its README says, and in other sizes and types.

usage: test.py MOEC CLANG
"""
import pathlib
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent


def graph(hidden, width, experts, k, element):
    """layer.mlir in other sizes; results are f32."""
    x, out = f"tensor<?x{hidden}x{element}>", f"tensor<?x{hidden}xf32>"
    gate, down = f"tensor<{experts}x{hidden}x{element}>", f"tensor<{experts}x{hidden}x{width}x{element}>"
    gate_up = f"tensor<{experts}x{2 * width}x{hidden}x{element}>"
    return f"""
func.func @layer(%x: {x}, %gate: {gate}, %gate_up: {gate_up}, %down: {down}) -> {out} {{
  %y = moe.layer %x router(%gate) experts(%gate_up, %down)
      #moe.router<top_k = {k}, renormalize = l1> <silu> : ({x}, {gate}, {gate_up}, {down}) -> {out}
  return %y : {out}
}}
"""


def run(moec, clang, folder, source, k, defines, *options):
    library = folder / "libmoe_layer.so"
    subprocess.run([moec, source, "--emit=lib,header", "-o", library, *options], check=True)
    names = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    exported = sorted(line.split()[-1] for line in names.splitlines())
    assert exported == ["layer" + suffix for suffix in ("", "_arena_size", "_describe", "_pack", "_packed_size")]
    program = folder / "layer"
    subprocess.run([clang, "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", *defines, f"-I{folder}",
                    FOLDER / "main.c", library, f"-Wl,-rpath,{folder}", "-lm", "-o", program], check=True)
    subprocess.run([program], check=True)
    subprocess.run([sys.executable, FOLDER / "layer.py", library, str(k)], check=True)
    # The header alone, as C99 and as C++.
    for language, standard in (("c", "c99"), ("c++", "c++98")):
        subprocess.run([clang, "-x", language, f"-std={standard}", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                        folder / "libmoe_layer.h"], check=True)


def main():
    moec, clang = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        run(moec, clang, folder, FOLDER / "layer.mlir", 2, [])
        for sizes in ((72, 40, 5, 3), (33, 7, 3, 1)):
            defines = [f"-D{name}={size}" for name, size in zip(("HIDDEN", "WIDTH", "EXPERTS", "TOP_K"), sizes)]
            for element, more in (("f32", []), ("bf16", ["-DBF16"])):
                source = folder / "odd.mlir"
                source.write_text(graph(*sizes, element))
                for options in ([], ["--target=x86-64-v3"], ["--emulate-isa"]):
                    print(*sizes, element, *options, flush=True)
                    run(moec, clang, folder, source, sizes[3], defines + more, *options)


if __name__ == "__main__":
    main()
