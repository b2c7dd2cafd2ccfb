#!/usr/bin/env python3
"""Executables that were damaged, stripped or started in unusual ways.

usage: executable_test.py MOEC GOLDENS
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

MOEC, GOLDEN = sys.argv[1], pathlib.Path(sys.argv[2]) / "olmoe"
QUESTION = ["generate", "--tokens", "1,2,3", "-n", "8", "--greedy", "--ignore-eos"]


def run(*command, **options):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, errors="replace", timeout=60,
                          **options)


def section(path):
    """Offset and size of the payload's section."""
    for line in run("readelf", "-SW", path).stdout.splitlines():
        if ".moe.payload" in line:
            words = line.split("]")[1].split()
            return int(words[3], 16), int(words[4], 16)
    raise AssertionError("no section")


class Case:
    def __init__(self, folder):
        self.folder, self.model = folder, folder / "model"
        subprocess.run([MOEC, GOLDEN, "-o", self.model], check=True, capture_output=True)
        self.answer = run(self.model, *QUESTION)
        assert self.answer.returncode == 0, self.answer.stderr

    def copy(self, change):
        path = self.folder / "copy"
        data = bytearray(self.model.read_bytes())
        changed = change(data)
        path.write_bytes(data if changed is None else changed)
        path.chmod(0o755)
        return path

    def works(self, *command):
        done = run(*command)
        assert done.returncode == 0 and done.stdout == self.answer.stdout, (command, done)

    def complains(self, command, *expected):
        done = run(*command)
        lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert done.returncode == 1 and not done.stdout and len(lines) == 1, (command, done)
        for text in expected:
            assert text in lines[0], (text, lines[0])
        print(lines[0])


def flip(at):
    def change(data):
        data[at] ^= 0x20
    return change


def damaged(case):
    start, size = section(case.model)
    shown = ["this executable"]
    case.complains([case.copy(lambda data: data[:start + size // 2]), *QUESTION])
    case.complains([case.copy(flip(start)), *QUESTION], *shown)
    case.complains([case.copy(flip(start + 8)), *QUESTION], *shown)
    case.complains([case.copy(flip(start + 24)), *QUESTION], *shown)
    case.complains([case.copy(flip(start + 33)), *QUESTION], *shown)
    case.complains([case.copy(flip(start + 100)), *QUESTION], *shown)
    # A weight changed: seen when asked for, since hashing all takes a while.
    changed = case.copy(flip(start + size - 20000))
    case.complains([changed, *QUESTION, "--verify"], "weights")


def stripped(case):
    path = case.copy(lambda data: None)
    subprocess.run(["objcopy", "--remove-section", ".moe.payload", path], check=True)
    case.complains([path, *QUESTION], "payload was not found", "--weights FILE")
    # The whole executable has what the other lost.
    case.works(path, *QUESTION, "--weights", case.model)
    path = case.copy(lambda data: None)
    subprocess.run(["strip", path], check=True)
    assert path.stat().st_size < case.model.stat().st_size
    case.works(path, *QUESTION)


def stripped_by_llvm(case):
    """llvm-strip takes away what is not loaded, unless it is told to keep it or to do as GNU's (docs/executable-format.md)."""
    strip = shutil.which("llvm-strip-22") or shutil.which("llvm-strip")
    if not strip:
        return
    for options in (["--keep-section=.moe.payload"], ["--strip-all-gnu"], ["--strip-debug"]):
        path = case.copy(lambda data: None)
        subprocess.run([strip, *options, path], check=True)
        case.works(path, *QUESTION)
    subprocess.run([strip, path], check=True)
    case.complains([path, *QUESTION], "payload was not found", "no section .moe.payload", "--weights FILE")
    case.works(path, *QUESTION, "--weights", case.model)


def started(case):
    case.works("/lib64/ld-linux-x86-64.so.2", case.model, *QUESTION)
    link = case.folder / "link"
    link.symlink_to(case.model)
    case.works(link, *QUESTION)
    case.works("env", f"PATH={case.folder}:/usr/bin", "model", *QUESTION)
    case.works("bash", "-c", 'exec -a "" "$@"', "bash", case.model, *QUESTION)


def external(case):
    path = case.folder / "outside"
    subprocess.run([MOEC, GOLDEN, "-o", path, "--weights=external"], check=True, capture_output=True)
    weights = case.folder / "outside.weights"
    assert weights.stat().st_size > path.stat().st_size // 100
    case.works(path, *QUESTION, "--weights", weights)
    case.works(path, *QUESTION)  # they lie beside it
    elsewhere = weights.rename(case.folder / "elsewhere")
    case.complains([path, *QUESTION], "payload was not found", "no ", "outside.weights", "--weights FILE")
    elsewhere.rename(weights)
    case.complains([path, *QUESTION, "--weights", case.folder / "none"], "none", "No such file")
    weights.write_bytes(weights.read_bytes()[:-1])
    case.complains([path, *QUESTION, "--weights", weights], "outside.weights")


def large(case):
    """Weights of several huge pages, which are written page by page: the same bytes behind the code and in a file of their
    own, where pages begin elsewhere."""
    config = case.folder / "config.json"
    config.write_text(json.dumps(json.loads((GOLDEN / "config.json").read_text()) |
                                 dict(hidden_size=520, intermediate_size=200, vocab_size=3001)))
    path = case.folder / "large"
    for options in ([], ["--weights=external"]):
        subprocess.run([MOEC, config, "--weights=random:7", "-o", path, *options], check=True, capture_output=True)
        if not options:
            start, size = section(path)
            inside = path.read_bytes()[start:start + size]
        done = run(path, *QUESTION, "--verify")
        assert done.returncode == 0 and "match their hashes" in done.stderr, done
    assert len(inside) > 20 << 20 and start % (2 << 20)
    assert (case.folder / "large.weights").read_bytes() == inside


def foreign(case):
    """Weights of another model, of other types of the cache or the weights, of other chunks."""
    for options in ([GOLDEN.parent / "qwen3_moe"], [GOLDEN.parent / "olmoe-bf16"], [GOLDEN, "--kv=q8_0"],
                    [GOLDEN, "--chunk=32"]):
        other = case.folder / "other"
        subprocess.run([MOEC, *options, "-o", other, "--weights=external"], check=True, capture_output=True)
        for command in (QUESTION, ["info"]):
            case.complains([case.model, *command, "--weights", f"{other}.weights"], "other.weights",
                           "payload is of another model")
    same = case.folder / "same"
    subprocess.run([MOEC, GOLDEN, "-o", same, "--weights=external"], check=True, capture_output=True)
    case.works(case.model, *QUESTION, "--weights", f"{same}.weights")


def files(case):
    one = case.folder / "one"
    case.complains([case.model, "logits", "--tokens", "1", "--out", one, "--trace-routing", one], "two files")
    # A limit on the size of files: an error, and nothing left.
    limited = ["bash", "-c", 'ulimit -f 1; exec "$@"', "bash", case.model, "logits", "--tokens", "1,2,3,4,5", "--out", one]
    case.complains(limited, "one")
    assert not list(case.folder.glob("one*"))


def named(case):
    """Several outputs at once; through a symbolic link to the file behind it."""
    link, behind = case.folder / "alias", case.folder / "behind"
    behind.write_text("old")
    link.symlink_to(behind)
    subprocess.run([MOEC, GOLDEN, "-o", link, "--emit=exe,obj,asm"], check=True, capture_output=True)
    assert link.is_symlink()
    case.works(behind, *QUESTION)
    assert (case.folder / "alias.o").read_bytes()[:4] == b"\x7fELF"
    assert (case.folder / "alias.s").exists()


def main():
    with tempfile.TemporaryDirectory() as folder:
        case = Case(pathlib.Path(folder))
        for part in (damaged, stripped, stripped_by_llvm, started, external, large, foreign, files, named):
            print(part.__name__, flush=True)
            part(case)


if __name__ == "__main__":
    main()
