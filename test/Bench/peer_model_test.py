#!/usr/bin/env python3
"""Whole models of several peers: one that fails is a line, and the next has its turn."""
import contextlib
import io
import pathlib
import subprocess
import tempfile
import types
import unittest
from unittest import mock

import bench_path  # noqa: F401
from measure import peer_model, weights


def fail(path, prompt, generate, threads):
    raise subprocess.CalledProcessError(1, ["/peers/program", path], stderr="first\nlast\n")


class FailingPeerTest(unittest.TestCase):
    def run_kind(self, engines, speed=lambda *_: 2.0):
        """(peers with rows, what was printed); `speed`: ours."""
        rows, printed = [], io.StringIO()

        def add(make, **cell):
            rows.append((cell["peer"], make()))
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(printed):
            args = types.SimpleNamespace(threads=[1], layers=1)
            ceilings = types.SimpleNamespace(both=lambda recipes, threads: lambda: {"compute": 1e11, "read": 1e10})
            run = types.SimpleNamespace(args=args, folder=pathlib.Path(folder), ceilings=ceilings, add=add, write=lambda: None)

            def make_gguf(folder, form, architecture):
                path = folder / f"{form}.gguf"
                path.touch()
                return path
            with mock.patch.multiple(peer_model, ENGINES=engines, make_gguf=make_gguf, fitting_layers=lambda *_: 1), \
                    mock.patch.multiple(peer_model.model, compile_model=lambda *_: ("model", ""), speed=speed):
                peer_model.run_kind(run, list(engines), weights.TYPES["int8"], (512, 64))
        return rows, printed.getvalue()

    def test_the_next_has_its_turn(self):
        engines = {"bad": peer_model.Engine("olmoe", fail), "good": peer_model.Engine("olmoe", lambda *_: 3.0)}
        rows, printed = self.run_kind(engines)
        self.assertEqual([name for name, _ in rows], ["good", "good"])  # of a prompt, and token by token
        self.assertEqual((rows[0][1]["seconds"], rows[0][1]["peer"]), ([2.0, 2.0], [3.0]))
        self.assertEqual(printed, "bad q8_0: given up: program failed: last\n")

    def test_a_missing_program(self):
        def missing(*_):
            raise FileNotFoundError(2, "No such file or directory", "/peers/program")
        rows, printed = self.run_kind({"bad": peer_model.Engine("olmoe", missing)})
        self.assertEqual((rows, printed), ([], "bad q8_0: given up: /peers/program: No such file or directory\n"))

    def test_what_fails_of_ours_ends_the_run(self):
        with self.assertRaises(subprocess.CalledProcessError):
            self.run_kind({"good": peer_model.Engine("olmoe", lambda *_: 3.0)}, speed=fail)


if __name__ == "__main__":
    unittest.main()
