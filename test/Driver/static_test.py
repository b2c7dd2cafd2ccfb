#!/usr/bin/env python3
"""Executables without shared libraries.

usage: static_test.py MOEC GOLDENS SANITIZED
"""
import pathlib
import subprocess
import sys
import tempfile

MOEC, GOLDENS, SANITIZED = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3] == "1"
TOKENS = ",".join(map(str, range(1, 41)))


def run(*command, **options):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, errors="replace", timeout=120,
                          **options)


def compiled(golden, output, *options):
    done = run(MOEC, GOLDENS / golden, "-o", output, *options)
    assert done.returncode == 0, done.stderr
    return output


def logits(model, *options):
    out = model.with_suffix(".npy")
    done = run(model, "logits", "--tokens", TOKENS, "--out", out, *options)
    assert done.returncode == 0, done.stderr
    return out.read_bytes()


def needed(model):
    """The shared libraries that a file names."""
    return [line.split("[")[1].rstrip("]") for line in run("readelf", "-dW", model).stdout.splitlines()
            if "(NEEDED)" in line]


def same_bits(expected, model):
    for options in (["-t", "1"], ["-t", "2"], ["-t", "3"], ["-t", "2", "--chunk", "7"]):
        assert logits(model, *options) == expected, (model, options)


def static(folder, golden, expected):
    model = compiled(golden, folder / "static", "--static")
    assert not needed(model) and "INTERP" not in run("readelf", "-lW", model).stdout
    same_bits(expected, model)
    answer = ["generate", "--tokens", "1,2,3", "-n", "8", "--greedy", "--ignore-eos"]
    # The payload is found through a link and after strip, as without --static.
    link = folder / "link"
    link.symlink_to(model)
    whole = run(link, *answer)
    assert whole.returncode == 0 and len(whole.stdout.split()) == 8, whole
    subprocess.run(["strip", model], check=True)
    assert run(model, *answer).stdout == whole.stdout
    link.unlink()
    # Together with several versions.
    both = compiled(golden, folder / "both", "--static", "--target=x86-64-v3,x86-64-v4")
    assert not needed(both) and run(both, "info").returncode == 0


def bad_options(folder):
    for options in (["--emit=obj"], ["--emit=asm"], ["--compile-to=moe"]):
        done = run(MOEC, GOLDENS / "olmoe", "--static", *options, "-o", folder / "none")
        assert done.returncode == 1 and done.stderr.strip() == "moec: error: --static: expected --emit=exe", done
    done = run(MOEC, GOLDENS / "olmoe", "--static=yes")
    assert done.returncode == 1 and "--static: takes no value" in done.stderr, done


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        bad_options(folder)
        for golden in ("olmoe", "mixtral-bf16", "qwen2_moe-window"):
            model = compiled(golden, folder / "dynamic")
            expected = logits(model, "-t", "1")
            same_bits(expected, model)
            assert not any("omp" in name for name in needed(model)), needed(model)
            if not SANITIZED:
                static(folder, golden, expected)
            print(golden, flush=True)
        if SANITIZED:
            done = run(MOEC, GOLDENS / "olmoe", "--static", "-o", folder / "none")
            assert done.returncode == 1 and "--static: the sanitizers need" in done.stderr, done


if __name__ == "__main__":
    main()
