#!/usr/bin/env python3
"""What the scripts of bench say of wrong arguments and damaged files: scripts_test.py MOEC. Nothing is measured."""
import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import types
import unittest
from unittest import mock

import numpy as np

import bench_path
import peers
import run
from measure import checkpoint, evaluators, held_out, results, script

MOEC = pathlib.Path(sys.argv[1]).absolute()
ARGUMENTS = (  # (words, what is said)
    ("run.py --type foo", "argument --type: no 'foo'; expected some of f32,"),
    ("run.py --type bf16,", "argument --type: no ''"),
    ("run.py -T x", "argument -T/--tokens: expected a whole number from 1 on, got 'x'"),
    ("run.py -T 1,0", "got '0'"),
    ("run.py -t 99999", "-t: there are "),
    ("run.py --shape foo", "argument --shape: no 'foo'; expected some of olmoe,"),
    ("run.py --only foo", "argument --only: no 'foo'; expected some of layer,parts,model"),
    ("run.py --routing foo", "argument --routing: no 'foo'"),
    ("run.py --rounds -1", "--rounds"),
    ("run.py --agree nan", "argument --agree: expected a number above 0, got 'nan'"),
    ("run.py --layers 1.5", "argument --layers: expected a whole number"),
    ("run.py --moec NONE", "argument --moec: NONE: is no program"),
    ("run.py --work NONE", "--work: there is no directory NONE; it must exist"),
    ("run.py --work NONE --type foo", "argument --type: no 'foo'"),
    ("run.py --out FOLDER", "argument --out: FOLDER: cannot be written"),
    ("run.py --out PLAIN/file", "argument --out: PLAIN/file: there is no directory PLAIN"),
    ("run.py --out NONE/file", "argument --out: NONE/file: there is no directory NONE"),
    ("run.py --target sapphirerapids", "run.py: --target: ceilings are known of native,"),
    ("run.py --moec TRUE", "TRUE made no target.so"),
    ("run.py --target z80", "moec failed: moec: error: --target: unknown machine 'z80'"),
    ("run.py --quick --only layer --shape mixtral --type int8 -t 1 --out PLAIN",
     "no cell is of --quick --only layer --shape mixtral --type int8; "),
    ("run.py --only layer --shape tiny -T 3 --rounds 3 --out PLAIN", "no cell is of --only layer --shape tiny -T 3; "),
    ("run.py --only parts --routing skewed --out PLAIN", "no cell is of --only parts --routing skewed; "),
    ("run.py --only parts --shape mixtral --out PLAIN", "no cell is of --only parts --shape mixtral; "),
    ("run.py --only model --shape mixtral --out PLAIN", "no cell is of --only model --shape mixtral; "),
    ("run.py --foo", "unrecognized arguments: --foo"),
    ("peers.py", "the following arguments are required: command"),
    ("peers.py run --type foo", "argument --type: no 'foo'"),
    ("peers.py run -T x", "argument -T/--tokens: expected a whole number"),
    ("peers.py run --shape foo", "argument --shape: no 'foo'"),
    ("peers.py run --only foo", "argument --only: no 'foo'; expected some of layer,model"),
    ("peers.py run --peer foo", "argument --peer: no 'foo'"),
    ("peers.py setup --peer foo", "argument --peer: no 'foo'"),
    ("peers.py run --moec NONE", "argument --moec: NONE: is no program"),
    ("peers.py run --work NONE", "--work: there is no directory NONE; it must exist"),
    ("peers.py run --out NONE/file", "argument --out: NONE/file: there is no directory NONE"),
    ("report.py --own NONE --out OUT", "NONE: No such file"),
    ("report.py --own PLAIN --out OUT", "PLAIN: is no JSON"),
    ("report.py --own LIST --out OUT", "LIST: holds no results"),
    ("report.py --own OTHER --out OUT", "OTHER: is not of this script: has no machine,"),
    ("report.py --own CELLS --out OUT", "CELLS: holds other results than expected"),
    ("report.py --own EMPTY --out OUT", "EMPTY: has no cells"),
    ("report.py --own FOLDER --out OUT", "FOLDER: Is a directory"),
    ("report.py --out NONE/file", "argument --out: NONE/file: there is no directory NONE"),
    ("memory.py --layers 0", "argument --layers: expected a whole number"),
    ("memory.py --hidden x", "argument --hidden: expected a whole number"),
    ("memory.py --moec NONE", "argument --moec: NONE: is no program"),
    ("memory.py --work NONE", "--work: there is no directory NONE; it must exist"),
    ("memory.py --moec TRUE --work FOLDER --layers 1 --hidden 64", "TRUE made no model"),
    ("memory.py --moec PROGRAM --work FOLDER --layers 1 --hidden 64", "PROGRAM failed: no message"),
    ("compile_cost.py NONE", "argument MOEC: NONE: is no program"),
    ("compile_cost.py PROGRAM", "PROGRAM failed: status 1"),
    ("compile_cost.py TRUE", "TRUE made no model"),
    ("quality.py run --model foo", "argument --model: no 'foo'; expected some of shipped,"),
    ("quality.py run --windows 0", "argument --windows: expected a whole number"),
    ("quality.py run --minutes x", "argument --minutes: expected a number above 0"),
    ("quality.py report --results NONE --out OUT", "NONE: No such file"),
    ("quality.py report --results PLAIN --out OUT", "PLAIN: is no JSON"),
    ("quality.py report --results CELLS --out OUT", "CELLS: is not of this script: has no peers"),
)


class Case(unittest.TestCase):
    def setUp(self):
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.folder = pathlib.Path(made.name)

    def fails(self, function, *arguments):
        with self.assertRaises(SystemExit) as raised:
            function(*arguments)
        self.assertNotIn("\n", str(raised.exception))
        return str(raised.exception)


class ArgumentsTest(Case):
    def test_one_line_and_no_file(self):
        inputs = {"FOLDER": None, "PLAIN": "{", "LIST": "[1]", "OTHER": '{"cells": []}', "PROGRAM": "#!/bin/false\n",
                  "TRUE": "#!/bin/true\n"}
        for name, cells in (("EMPTY", []), ("CELLS", [{"kind": "layer"}])):
            inputs[name] = json.dumps({"machine": {}, "command": "", "rounds": 3, "others": 3, "cells": cells})
        for name, text in inputs.items():
            path = self.folder / name
            if text is None:
                path.mkdir()
            else:
                path.write_text(text)
        for name in ("PROGRAM", "TRUE"):
            (self.folder / name).chmod(0o755)
        for words, said in ARGUMENTS:
            with self.subTest(words):
                name, *rest = words.split()
                takes_moec = name in ("run.py", "memory.py") or "run" in rest
                moec = ["--moec", MOEC] if takes_moec and "--moec" not in rest else []
                done = subprocess.run([sys.executable, pathlib.Path(bench_path.FOLDER) / name, *rest, *moec],
                                      cwd=self.folder, capture_output=True, text=True)
                line = done.stderr
                self.assertIn(done.returncode, (1, 2), line)
                self.assertTrue(line.startswith(f"{name}: ") or line.startswith(f"{name} "), line)
                self.assertEqual(line.count("\n"), 1, line)
                self.assertIn(said, line)
                found = {path.name: path.read_text() if path.is_file() else None for path in self.folder.iterdir()}
                self.assertEqual(found, inputs)


class PlanTest(Case):
    """What the options choose."""

    def plan(self, words, module=run):
        """{what measures: how many cells}"""
        name = module.__name__
        words = [f"{name}.py", *(["run"] if module is peers else []), *words.split(), "--moec", str(MOEC)]
        with mock.patch.object(sys, "argv", words):
            found = module.plan(module.arguments())
        return {f"{measure.__module__.split('.')[-1]}.{measure.__name__}": len(cells) for measure, cells in found}

    def test_cells(self):
        for words, expected in (
                ("--only parts", {"parts.run_layers": 2, "parts.run_attention": 30}),
                ("--quick --only parts", {"parts.run_layers": 2, "parts.run_attention": 14}),
                ("--only parts --shape qwen3", {"parts.run_attention": 6}),
                ("--only parts --type int8", {"parts.run_attention": 6}),  # its cache
                ("--only parts --type f32 -T 1", {"parts.run_attention": 3}),
                ("--only parts --shape tiny --type int4,f16 -T 1,3", {"parts.run_layers": 4}),
                ("--shape tiny --type int4 -T 3", {"run.run_layers": 2, "parts.run_layers": 1}),
                ("--shape olmoe --type int4 --routing skewed", {"run.run_layers": 10}),
                ("--only model --shape olmoe -T 64 --type bf16,f32", {"model.run": 1}),
                ("--only ceilings", {})):
            with self.subTest(words):
                self.assertEqual(self.plan(words + " -t 1"), expected)

    def test_beside_peers(self):
        with mock.patch.object(peers.peer_setup, "known_versions", lambda: {"vllm": "", "llama.cpp": ""}):
            for words, expected in (("--only layer --type bf16", {"peers.run_layers": 2}),
                                    ("--type int4_nl", {"peers.run_layers": 1}),
                                    ("--only model", {"peer_model.run": 3})):
                with self.subTest(words):
                    self.assertEqual(self.plan(words, peers), expected)
            for words in ("--peer vllm --type f16", "--peer openvino", "--only model --shape mixtral", "--only model -T 1"):
                with self.subTest(words):
                    self.assertEqual(self.fails(self.plan, words, peers),
                                     f"peers.py: no cell is of {words}; in build/peers: vllm, llama.cpp")

    def test_without_cells_nothing_is_written(self):
        path = self.folder / "out.json"
        for module in (run, peers):
            args = types.SimpleNamespace(out=path, only=("layer",), target="native")
            with mock.patch.object(module.ceilings, "Ceilings"):
                module.Run(args, self.folder).write()
        self.assertFalse(path.exists())


# Says which process it waits for, and has a file where compilers put theirs.
SLEEPER = """#!/bin/sh
touch ${TMPDIR:-.}/object.o
sleep 60 &
echo $! > pid.new
mv pid.new pid
wait
"""


def runs(pid):
    """Whether it is there and no zombie."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class SignalsTest(Case):
    """A script that is ended leaves no file in $TMPDIR or --work, and no process."""

    def setUp(self):
        super().setUp()
        for name in ("work", "tmp"):
            (self.folder / name).mkdir()
        (self.folder / "clang-22").write_text(SLEEPER)
        (self.folder / "clang-22").chmod(0o755)

    def wait_for(self, holds):
        until = time.monotonic() + 60
        while not holds():
            self.assertLess(time.monotonic(), until)
            time.sleep(0.01)

    def start(self, words, ignored=()):
        """The script, once its program sleeps, and that one's id; the test itself may have been started by nohup."""
        name, *rest = words.split()
        environment = os.environ | {"TMPDIR": str(self.folder / "tmp"), "PATH": f"{self.folder}:{os.environ['PATH']}"}
        handle = lambda: [signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
                          for number in script.ENDING]
        process = subprocess.Popen([sys.executable, pathlib.Path(bench_path.FOLDER) / name, "--work", "work", *rest],
                                   cwd=self.folder, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                   text=True, preexec_fn=handle)
        self.addCleanup(process.kill)
        path = self.folder / "pid"
        self.wait_for(lambda: path.exists() or process.poll() is not None)
        sleeper = int(path.read_text())
        path.unlink()
        return process, sleeper

    def ends(self, process, sleeper, number):
        _, said = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 128 + number, said)
        self.assertIn(f": ended by {number.name}\n", said)
        self.wait_for(lambda: not runs(sleeper))
        for name in ("work", "tmp"):
            self.assertEqual(list((self.folder / name).iterdir()), [], name)

    def test_programs_and_files_go(self):
        scripts = ("memory.py --moec clang-22 --layers 1 --hidden 64", f"run.py --moec {MOEC} --only ceilings --out out.json")
        for words, number in itertools.product(scripts, script.ENDING):
            with self.subTest(words, signal=number):
                process, sleeper = self.start(words)
                process.send_signal(number)
                self.ends(process, sleeper, number)
        self.assertFalse((self.folder / "out.json").exists())

    def test_nohup(self):
        process, sleeper = self.start("run.py --moec clang-22", ignored=(signal.SIGHUP,))
        process.send_signal(signal.SIGHUP)
        time.sleep(0.1)
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGTERM)
        self.ends(process, sleeper, signal.SIGTERM)


class HelpTest(unittest.TestCase):
    def test_every_script_says_how_it_is_called(self):
        for path in sorted(pathlib.Path(bench_path.FOLDER).glob("*.py")):
            with self.subTest(path.name):
                done = subprocess.run([sys.executable, path, "--help"], capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertTrue(done.stdout.startswith(f"usage: {path.name} "), done.stdout)


class ListsTest(unittest.TestCase):
    def test_nothing_is_measured_twice(self):
        self.assertEqual(script.counts("2,1,2"), (2, 1))
        self.assertEqual(script.words(("a", "b"))("b,a,b"), ("b", "a"))


class FilesTest(Case):
    def test_whole_or_not_at_all(self):
        path = self.folder / "a" / "file"
        with self.assertRaises(KeyError), script.whole(path) as made:
            made.write_text("half")
            raise KeyError
        self.assertEqual(list((self.folder / "a").iterdir()), [])
        for text in ("one", "two"):
            script.write_text(path, text)
            self.assertEqual(path.read_text(), text)
        link = self.folder / "link"
        link.symlink_to(path)
        script.write_text(link, "three")
        self.assertTrue(link.is_symlink())
        self.assertEqual(path.read_text(), "three")
        with script.whole(self.folder / "a") as made:  # a folder takes the place of one
            made.mkdir()
            (made / "other").touch()
        self.assertEqual([each.name for each in (self.folder / "a").iterdir()], ["other"])
        script.write_text(pathlib.Path("/dev/null"), "nothing")

    def test_results_come_back(self):
        path = self.folder / "results.json"
        results.write(path, {"cells": [{"a": 1}], "b": 2})
        self.assertEqual(results.read_plain(path, "cells", "b"), {"b": 2, "cells": [{"a": 1}]})

    def test_programs_that_fail(self):
        path = self.folder / "made"
        command = lambda text: lambda made: ["/bin/sh", "-c", f"{text} > {made}; echo first >&2; echo last >&2; exit 3"]
        with self.assertRaises(subprocess.CalledProcessError) as raised:
            evaluators.make_file(path, command("echo half"))
        self.assertEqual(script.last_line(raised.exception), "last")
        self.assertEqual(list(self.folder.iterdir()), [])
        path.write_text("there")
        self.assertEqual(evaluators.make_file(path, None), path)

    def test_damaged_inputs_of_quality(self):
        path = self.folder / "0001.npz"
        for data in (b"", b"PK\3\4 not a zip", b"\x93NUMPY"):
            path.write_bytes(data)
            self.assertIn("0001.npz: is damaged", self.fails(evaluators.read_arrays, path))
        np.savez(path, kl=np.arange(3))
        path.write_bytes(path.read_bytes()[:-30])
        self.assertIn("0001.npz: is damaged", self.fails(evaluators.read_arrays, path))
        texts = self.folder / "texts.json"
        for text, why in (("[", "is no JSON"), ("{}", "is no list of texts"), ("[1]", "is no list of texts")):
            texts.write_text(text)
            self.assertIn(f"texts.json: {why}", self.fails(held_out.read_documents, texts))
        made = self.folder / "checkpoint"
        checkpoint.write(made, {}, {"a": np.ones((2, 2), np.float32)})
        self.assertEqual(checkpoint.read(made)[1]["a"].tolist(), [[1, 1], [1, 1]])
        whole = (made / "model.safetensors").read_bytes()
        for data in (whole[:4], whole[:20], whole[:-8], b"\xff" * 64):
            (made / "model.safetensors").write_bytes(data)
            self.assertIn("checkpoint: is no checkpoint", self.fails(checkpoint.read, made))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
