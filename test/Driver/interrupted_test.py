#!/usr/bin/env python3
"""A compile that is stopped while it writes weights leaves no output; one whose parent ignores the signal goes on.

usage: interrupted_test.py MOEC GOLDENS
"""
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

MOEC, GOLDEN = sys.argv[1], pathlib.Path(sys.argv[2]) / "olmoe"


def big_model(folder):
    """A config of about 1.3 GB of weights."""
    config = json.loads((GOLDEN / "config.json").read_text())
    config.update(hidden_size=1024, intermediate_size=1024, num_attention_heads=8, num_key_value_heads=8,
                  num_experts=64, num_hidden_layers=2, vocab_size=1000)
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    return path


def written(path):
    """Bytes of a file that may be gone by now: linking replaces it."""
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def send(folder, number, is_ignored=False):
    """(output, status) of a compile that gets a signal."""
    output = folder / "out"

    def prepare():
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_IGN if is_ignored else signal.SIG_DFL)

    process = subprocess.Popen([MOEC, big_model(folder), "--weights=random:1", "-j1", "-o", output],
                               stderr=subprocess.DEVNULL, preexec_fn=prepare)
    # Until some of the weights have been written.
    deadline = time.time() + 60
    while not any(written(path) > 16 << 20 for path in folder.glob(".out.moec-*")):
        assert process.poll() is None, "finished before it could be stopped"
        assert time.time() < deadline, "never began to write"
        time.sleep(0.01)
    process.send_signal(number)
    return output, process.wait()


def main():
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            output, status = send(folder, number)
            assert status == -number and not output.exists(), status
            left = [path.name for path in folder.iterdir() if path.name != "config.json"]
            # Nobody can clean up after SIGKILL; what stays is no model.
            assert number == signal.SIGKILL or not left, left
            print(f"{signal.Signals(number).name}: no output, {len(left)} hidden file left")
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        with tempfile.TemporaryDirectory() as name:
            output, status = send(pathlib.Path(name), number, is_ignored=True)
            assert status == 0 and output.exists(), (number, status)


if __name__ == "__main__":
    main()
