#!/usr/bin/env python3
"""Measures and writes docs/performance.md: bench/report.py [--rounds 7] [--out docs/performance.md]

Runs bench/moe_layer.py (in which each figure is a share of ceilings taken just
before and after it, in the same process), and on request (--model EXECUTABLE) a
whole model's own `bench`. Nothing else should run meanwhile.
"""
import argparse
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

HEADER = """# Speed

Written by `bench/report.py`; do not edit. Every figure is a ratio to a ceiling measured in the same process just before
and after it; a round counts only if the two agree (bench/moe_layer.py says how). The compute ceiling is the fastest of
the register-resident loops in bench/ceilings.c (f32 fused multiply-add, and for bf16 VDPBF16PS where there is one); the read
ceiling reads the experts' own mapping. Shares of the floor are of sum over experts of max(bytes / bandwidth,
FLOPs / peak), the experts taken as uniformly routed.

"""


def machine():
    text = subprocess.run(["lscpu"], capture_output=True, text=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}).stdout
    wanted = ("Model name", "CPU(s)", "L2 cache", "L3 cache")
    lines = [line.split(":", 1) for line in text.splitlines() if line.split(":")[0] in wanted]
    flags = next((line for line in text.splitlines() if line.startswith("Flags")), "")
    isa = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f" {name}" in flags]
    return "Machine: " + "; ".join(f"{key} {value.strip()}" for key, value in lines) + "; " + " ".join(isa) + ".\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", default="7")
    parser.add_argument("--agree", default="10")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs/performance.md")
    parser.add_argument("--model", help="an emitted executable to run `bench` on")
    args = parser.parse_args()
    text = HEADER + machine()
    cases = [("olmoe", "bf16", ["1", "2", "8", "32", "64", "128", "512"]), ("olmoe", "f32", ["1", "512"]),
             ("qwen3", "bf16", ["1", "64", "512"])]
    for shape, kind, tokens in cases:
        command = ["bench/moe_layer.py", "--shape", shape, "--type", kind, "-T", ",".join(tokens), "-t", "1,2",
                   "--rounds", args.rounds, "--agree", args.agree]
        done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True)
        text += f"\n## One MoE layer: {shape}, {kind}\n\n`{' '.join(command)}`\n\n```\n{done.stdout}```\n"
        print(done.stdout, flush=True)
    if args.model:
        done = subprocess.run([args.model, "bench", "-p", "512", "-n", "64", "-t", "1,2", "-r", "5"],
                              capture_output=True, text=True, check=True)
        text += f"\n## A whole model\n\n`bench -p 512 -n 64 -t 1,2 -r 5`\n\n{done.stdout}"
    args.out.write_text(text)


if __name__ == "__main__":
    main()
