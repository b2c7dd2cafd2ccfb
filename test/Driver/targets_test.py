#!/usr/bin/env python3
"""Executables with code for several machines over one payload.

usage: targets_test.py MOEC GOLDENS
"""
import json
import pathlib
import subprocess
import sys
import tempfile

MOEC, GOLDENS = sys.argv[1], pathlib.Path(sys.argv[2])
TOKENS = "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18"


def run(*command):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, errors="replace", timeout=120)


def compiled(golden, output, target):
    done = run(MOEC, GOLDENS / golden, "-o", output, f"--target={target}")
    assert done.returncode == 0, done.stderr
    return output


def logits(model, *options):
    out = model.with_suffix(".npy")
    done = run(model, "logits", "--tokens", TOKENS, "--out", out, *options)
    assert done.returncode == 0, done.stderr
    return out.read_bytes()


def card(model, *options):
    done = run(model, "info", "--json", *options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refused(command, *expected):
    done = run(*command)
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and not done.stdout and "error: " in lines[-1], (command, done)
    assert sum("error: " in line for line in lines) == 1, done.stderr
    for text in expected:
        assert text in lines[-1], (text, lines[-1])
    print(lines[-1])


def same_bits(folder, golden, targets):
    """Each version computes what an executable of its own does; the most demanding that fits runs."""
    whole = compiled(golden, folder / "whole", ",".join(targets))
    versions = {entry["cpu"]: entry for entry in card(whole)["targets"]}
    assert list(versions) == targets, versions
    fitting = [name for name in targets if not versions[name]["missing"]]
    for name in fitting:
        alone = compiled(golden, folder / "alone", name)
        for threads in (1, 2):
            assert logits(whole, "--isa", name, "-t", threads) == logits(alone, "-t", threads), (golden, name)
        assert card(whole, "--isa", name)["target"] == card(alone)["target"]
    if fitting:
        best = max(fitting, key=lambda name: (len(versions[name]["features"]), targets.index(name)))
        assert card(whole)["runs"] == best
        assert logits(whole) == logits(whole, "--isa", best)
    for name in set(targets) - set(fitting):
        refused([whole, "generate", "--tokens", "1", "-n", "1", "--isa", name], "this CPU lacks", name)
    print(golden, fitting, flush=True)
    return whole


def cards(folder, whole):
    text = run(whole, "info").stdout
    assert "x86-64-v3, recipe" in text and "x86-64-v4, recipe" in text and "runs here" in text, text
    refused([whole, "generate", "--tokens", "1", "--isa", "z80"], "--isa z80", "x86-64-v4, x86-64-v3")
    refused([whole, "info", "--isa", "z80"], "--isa z80")
    # Sizes of another compile would be wrong for this code.
    other = compiled("olmoe", folder / "other", "x86-64-v3")
    refused([whole, "generate", "--tokens", "1", "--weights", other], "payload", "x86-64-v3", "this executable has")


def bad_options(folder):
    model, out = GOLDENS / "olmoe", ["-o", folder / "none"]
    both = "--target=x86-64-v3,x86-64-v4"
    refused([MOEC, model, "--target=x86-64-v3,x86-64-v3", *out], "--target", "x86-64-v3 twice", "once")
    refused([MOEC, model, "--target=x86-64-v3,z80", *out], "--target: unknown machine 'z80'")
    refused([MOEC, model, "--target=x86-64-v3,", *out], "--target: expected names with a comma between")
    refused([MOEC, model, "--target=,", *out], "--target: expected names")
    for kinds in ("obj", "asm", "llvm", "mlir", "exe,obj", "lib,header"):
        refused([MOEC, model, both, f"--emit={kinds}", *out], "--target: several machines need --emit=exe")
    refused([MOEC, model, both, "--compile-to=fused"], "--target: several machines need --emit=exe")
    assert not list(folder.glob("*none*"))


def unchecked_features(folder):
    """What the runtime does not ask a CPU for is not in the code: no XOP of bdver4, no APX of diamondrapids."""
    for cpu, words in (("bdver4", ("vpcmov", "vprot")),
                       ("diamondrapids", ("%r16", "%r17", "{nf}", "ccmp"))):
        listing = folder / "listing.s"
        done = run(MOEC, GOLDENS / "olmoe", f"--target={cpu}", "--emit=asm", "-o", listing)
        assert done.returncode == 0, done
        text = listing.read_text()
        assert not [word for word in words if word in text], cpu


def tiles(folder):
    """A CPU is asked for AMX where products take it, and what emulation stands in for is not asked for."""
    def features(golden, *options):
        done = run(MOEC, GOLDENS / golden, "-o", folder / "tiles", "--target=graniterapids", *options)
        assert done.returncode == 0, done.stderr
        return set(card(folder / "tiles")["target"]["features"])

    asked = {"amx-tile", "amx-bf16", "amx-int8"}
    assert features("olmoe") & asked == set()
    assert features("olmoe-bf16") & asked == {"amx-tile", "amx-bf16"}
    assert features("olmoe-bf16", "--quant=int4") & asked == {"amx-tile", "amx-int8"}
    assert features("olmoe-bf16", "--quant=int8_channel") & asked == set()
    assert features("olmoe-bf16", "--quant=int4", "--act=f32") & asked == set()
    assert features("olmoe-bf16", "--emulate-isa") & (asked | {"avx512fp16", "avx512bf16", "avx512vnni"}) == set()
    for target in ("graniterapids", "neoverse-v1"):
        done = run(MOEC, GOLDENS / "olmoe-bf16", "-o", folder / "tiles", f"--target={target}", "--attention=bf16", "--emit=obj")
        assert done.returncode == 1 and f"bf16-dot-pairs, found bf16 on {target}" in done.stderr, done


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        bad_options(folder)
        unchecked_features(folder)
        tiles(folder)
        # Not in order: the best is not the last. znver4 rounds activations to bf16, the others do not.
        same_bits(folder, "mixtral-bf16", ["znver4", "x86-64-v4", "x86-64-v3"])
        same_bits(folder, "mixtral-bf16", ["sapphirerapids", "x86-64-v3"])
        cards(folder, same_bits(folder, "olmoe", ["x86-64-v4", "x86-64-v3"]))


if __name__ == "__main__":
    main()
