#!/usr/bin/env python3
"""Uses an emitted executable as a user does. The model is ToyModel.cpp.

    python command_line_test.py TOY_MODEL TOY_MODEL_WITHOUT_PAYLOAD
"""

import json
import math
import os
import pathlib
import pty
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

MODEL, BARE = (pathlib.Path(p).resolve() for p in sys.argv[1:3])
PAYLOAD = MODEL.with_name(MODEL.name + ".payload")
VOCAB = 300


def run(*arguments, stdin="", program=MODEL, **options):
    return subprocess.run([str(program), *map(str, arguments)], input=stdin.encode(), capture_output=True, timeout=60,
                          **options)


def read_safetensors(path):
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header, tensors = json.loads(data[8:8 + size]), {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        code, width = {"I32": ("i", 4), "F32": ("f", 4), "U8": ("B", 1)}[entry["dtype"]]
        count = math.prod(entry["shape"])
        assert end - begin == count * width
        tensors[name] = (entry["shape"], struct.unpack(f"<{count}{code}", data[8 + size + begin:8 + size + end]))
    return tensors


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def ok(self, *arguments, **options):
        result = run(*arguments, **options)
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        return result.stdout

    def error(self, *arguments, status=1, **options):
        result = run(*arguments, **options)
        self.assertEqual(result.returncode, status, result)
        self.assertEqual(result.stdout, b"")
        message = result.stderr.decode()
        self.assertTrue(message.startswith("error: ") and message.count("\n") == 1, message)
        return message


class Generate(Case):
    def test_ids_on_one_line(self):
        out = self.ok("generate", "--tokens", "1,2,3", "-n", 16, "--greedy").decode()
        ids = [int(i) for i in out.split()]
        self.assertEqual(out, " ".join(map(str, ids)) + "\n")
        self.assertEqual(len(ids), 16)
        self.assertEqual(out, self.ok("generate", "--tokens", "1, 2, 3", "-n16", "--temp", 0, "-t", 1,
                                      "--chunk", 1).decode())

    def test_follows_logits(self):
        ids = [int(i) for i in self.ok("generate", "--tokens", "7", "-n", 3, "--greedy").split()]
        rows = self.logits([7] + ids[:2])
        self.assertEqual(ids, [row.index(max(row)) for row in rows])

    def logits(self, tokens):
        path = self.folder / "logits.npy"
        self.ok("logits", "--tokens", ",".join(map(str, tokens)), "--out", path)
        data = path.read_bytes()
        self.assertEqual(data[:8], b"\x93NUMPY\x01\x00")
        (size,) = struct.unpack("<H", data[8:10])
        self.assertEqual((size + 10) % 64, 0)
        self.assertIn(f"'shape': ({len(tokens)}, {VOCAB})".encode(), data[10:10 + size])
        values = struct.unpack(f"<{len(tokens) * VOCAB}f", data[10 + size:])
        return [values[i:i + VOCAB] for i in range(0, len(values), VOCAB)]

    def test_logits_through_a_link(self):
        behind, link = self.folder / "behind.npy", self.folder / "link.npy"
        behind.write_text("old")
        link.symlink_to(behind)
        self.ok("logits", "--tokens", "1", "--out", link)
        self.assertTrue(link.is_symlink())
        self.assertEqual(behind.read_bytes()[1:6], b"NUMPY")

    def test_logits_do_not_depend_on_the_chunk(self):
        tokens = ",".join(str(i) for i in range(100))
        files = []
        for chunk in (1, 13, 48):
            files.append(self.folder / f"{chunk}.npy")
            self.ok("logits", "--tokens", tokens, "--chunk", chunk, "--out", files[-1])
        self.assertEqual(len({f.read_bytes() for f in files}), 1)

    def test_context_end_is_said(self):
        result = run("generate", "--tokens", "5", "-c", 4, "--ignore-eos", "--greedy")
        self.assertEqual(result.returncode, 0)
        self.assertEqual(len(result.stdout.split()), 4)
        self.assertIn(b"the context of 4 tokens is full", result.stderr)

    def test_errors(self):
        self.assertIn("entry 1 is 300; this model's ids go from 0 to 299", self.error("generate", "--tokens", "1,300"))
        self.assertIn("entry 0 is -1", self.error("generate", "--tokens=-1"))
        self.assertIn("entry 0 is 99999999999999999999", self.error("generate", "--tokens", "9" * 20))
        self.assertIn("entry 2 is ''", self.error("generate", "--tokens", "1,2,"))
        self.assertIn("no token ids", self.error("generate", "--tokens", ""))
        message = self.error("generate", "--tokens", ",".join(["1"] * 201))
        self.assertIn("needs 201 positions, the context has 200", message)
        self.assertIn("goes from 1 to 200", self.error("generate", "--tokens", "1", "-c", 201))
        self.assertIn("--chunk 49", self.error("generate", "--tokens", "1", "--chunk", 49))


class Trace(Case):
    def test_records_every_token(self):
        path = self.folder / "trace.safetensors"
        ids = [int(i) for i in self.ok("generate", "--tokens", ",".join(map(str, range(50))), "-n", 3, "--greedy",
                                       "--trace-routing", path).split()]
        tensors = read_safetensors(path)
        tokens = list(range(50)) + ids[:2]
        self.assertEqual(sorted(tensors), ["layer.1.ids", "layer.1.weights", "layer.3.ids", "layer.3.weights", "phase",
                                           "tokens"])
        self.assertEqual(tensors["tokens"], ([52], tuple(tokens)))
        self.assertEqual(tensors["phase"], ([52], (0,) * 50 + (1,) * 2))
        self.assertEqual(tensors["layer.3.ids"],
                         ([52, 3], tuple((t + 1 + k) % 8 for t in tokens for k in range(3))))
        self.assertEqual(tensors["layer.1.weights"], ([52, 2], tuple(p + k / 4 for p in range(52) for k in range(2))))

    def test_logits_and_run_trace_too(self):
        path = self.folder / "trace.safetensors"
        self.ok("logits", "--tokens", "1,2", "--out", self.folder / "l.npy", "--trace-routing", path)
        self.assertEqual(read_safetensors(path)["tokens"][1], (1, 2))
        self.ok("run", "-p", "hi", "-n", 2, "--temp", 0, "--trace-routing", path)
        self.assertEqual(len(read_safetensors(path)["phase"][1]), 3)

    def test_no_partial_files(self):
        self.error("logits", "--tokens", "1", "--out", self.folder / "no" / "l.npy")
        self.error("logits", "--tokens", ",".join(["1"] * 201), "--out", self.folder / "l.npy")
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_files_that_cannot_be_made(self):
        # Nothing is on standard output, where tokens go as they come.
        plain = self.folder / "plain"
        plain.touch()
        commands = (["generate", "--tokens", "1", "-n", 2, "--no-perf"], ["run", "-p", "x", "-n", 2, "--no-perf"],
                    ["logits", "--tokens", "1", "--out", self.folder / "l.npy"])
        for command in commands:
            for path, why in ((self.folder / "no" / "t", "No such file"), (plain / "t", "Not a directory"),
                              (self.folder, "is a directory")):
                message = self.error(*command, "--trace-routing", path)
                self.assertTrue(message.startswith(f"error: --trace-routing: {path}: ") and why in message, message)
        path = self.folder / "no" / "l.npy"
        self.assertEqual(self.error("logits", "--tokens", "1", "--out", path),
                         f"error: --out: {path}: cannot create: No such file or directory\n")
        self.assertEqual(list(self.folder.iterdir()), [plain])

    def test_two_outputs_are_two_files(self):
        for made in (False, True):
            if made:
                (self.folder / "a").write_text("old")
                (self.folder / "link").symlink_to("a")
            for other in ("a", "./a", ".//a", f"../{self.folder.name}/a", self.folder / "a", *(["link"] if made else [])):
                self.assertEqual(self.error("logits", "--tokens", "1", "--out", "a", "--trace-routing", other, cwd=self.folder),
                                 "error: --out and --trace-routing: both are a; expected two files\n")
        self.assertEqual((self.folder / "a").read_text(), "old")
        (self.folder / "b").mkdir()
        self.ok("logits", "--tokens", "1", "--out", "a", "--trace-routing", "b/a", cwd=self.folder)

    def test_no_file_of_the_name_dash(self):
        expected = "expected the name of a file (/dev/stdout is one), got '-'"
        for arguments in (["logits", "--tokens", "1", "--out", "-"], ["run", "-p", "x", "--trace-routing", "-"]):
            self.assertEqual(self.error(*arguments, status=2, cwd=self.folder),
                             f"error: {arguments[-2]}: {expected}\n")
        self.assertEqual(list(self.folder.iterdir()), [])
        self.assertEqual(self.ok("logits", "--tokens", "1", "--out", "/dev/stdout")[1:6], b"NUMPY")


class Run(Case):
    def test_prompt_from_anywhere(self):
        file = self.folder / "prompt.txt"
        file.write_text("Hello\n")
        flags = ["-n", 8, "--temp", 0]
        expected = self.ok("run", "-p", "Hello", *flags)
        self.assertTrue(expected.endswith(b"\n"))
        self.assertEqual(expected, self.ok("-p", "Hello", *flags))
        self.assertEqual(expected, self.ok("--prompt", "Hello", "--n-predict", 8, "--temp=0", "--threads", 1,
                                           "--ctx-size", 100))
        self.assertEqual(expected, self.ok("-f", file, *flags))
        self.assertEqual(expected, self.ok("--file", file, *flags))
        self.assertEqual(expected, self.ok("-p", "-", *flags, stdin="Hello\n"))
        self.assertEqual(expected, self.ok(*flags, stdin="Hello\n"))

    def test_perf_on_stderr(self):
        result = run("-p", "Hello", "-n", 4)
        self.assertRegex(result.stderr.decode(), r"seed \d+")
        self.assertRegex(result.stderr.decode(), r"pp: \d+ tokens.*t/s; tg: \d+ tokens?.*")
        self.assertEqual(run("-p", "Hello", "-n", 4, "--no-perf").stderr, b"")

    def test_seed_minus_one_is_random(self):
        outs = {self.ok("-p", "Hello", "-n", 12, "--seed", -1, "--temp", 5) for _ in range(3)}
        self.assertGreater(len(outs), 1)

    def test_seed_repeats(self):
        outs = {self.ok("-p", "Hello", "-n", 12, "--seed", 5, "--temp", 5) for _ in range(3)}
        self.assertEqual(len(outs), 1)

    def test_output_is_utf8(self):
        self.ok("-p", "Hello", "--temp", 3, "--top-p", 1, "--min-p", 0, "--top-k", 0).decode("utf-8")

    def test_errors(self):
        message = self.error("-p", "x " * 300)
        self.assertRegex(message, r"the prompt has \d+ tokens, the context 200")
        self.assertIn("the prompt is empty", self.error("-p", ""))
        self.assertIn("-p and -f", self.error("-p", "x", "-f", "y"))
        self.assertIn("No such file", self.error("-f", self.folder / "none"))
        self.assertIn("cannot read", self.error("-f", self.folder))
        self.assertEqual("error: /dev/zero: too long for a prompt: more than 1 GiB\n", self.error("-f", "/dev/zero"))

    def test_no_prompt_on_a_terminal(self):
        leader, follower = pty.openpty()
        result = subprocess.run([MODEL, "run"], stdin=follower, capture_output=True, timeout=60)
        os.close(leader)
        os.close(follower)
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"no prompt", result.stderr)

    def start_endless(self, *options):
        # ToyModel sleeps where the environment says so.
        return subprocess.Popen([MODEL, "run", "-p", "Hello", "--ignore-eos", *options], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env={**os.environ, "TOY_MODEL_SLEEP_MS": "50"})

    def test_interrupt(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number), tempfile.TemporaryDirectory() as folder:
                process = self.start_endless("--trace-routing", f"{folder}/trace")
                os.read(process.stdout.fileno(), 1)
                process.send_signal(number)
                _, err = process.communicate(timeout=20)
                self.assertEqual(process.returncode, 128 + number)
                self.assertIn(b"tg:", err)
                self.assertEqual(os.listdir(folder), ["trace"])

    def test_closed_pipe_is_quiet(self):
        process = self.start_endless()
        os.read(process.stdout.fileno(), 1)
        process.stdout.close()
        err = process.stderr.read()
        process.stderr.close()
        self.assertEqual(process.wait(timeout=20), 0)
        self.assertNotIn(b"error", err)

    def test_full_disk(self):
        with open("/dev/full", "wb") as full:
            result = subprocess.run([MODEL, "info"], stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"No space left", result.stderr)


class Usage(Case):
    def test_unknown_words(self):
        self.assertIn("did you mean '--temp'?", self.error("run", "--temperature", 1, status=2))
        self.assertIn("did you mean '--threads'?", self.error("-p", "x", "--thread", 1, status=2))
        self.assertIn("did you mean 'generate'?", self.error("generat", status=2))
        self.assertIn("unexpected argument 'x'", self.error("info", "x", status=2))
        self.assertIn("needs a value", self.error("run", "-n", status=2))
        self.error("logits", "--tokens", "1", status=2)

    def test_values_of_flags(self):
        for arguments, expected in (
                (["run", "-n", "abc"], "--n-predict: expected a whole number from -1 to 1099511627776, got 'abc'"),
                (["run", "-n", "1.5"], "--n-predict: expected a whole number from -1 to 1099511627776, got '1.5'"),
                (["run", "-n", ""], "--n-predict: expected a whole number from -1 to 1099511627776, got ''"),
                (["run", "-t", "x"], "--threads: expected a whole number from 1 to 1024, got 'x'"),
                (["run", "-t", "0"], "--threads: expected a whole number from 1 to 1024, got '0'"),
                (["run", "--seed", "abc"], "--seed: expected a whole number from -1 to 4294967295, got 'abc'"),
                (["run", "--seed", "4294967296"],
                 "--seed: expected a whole number from -1 to 4294967295, got '4294967296'"),
                (["run", "--chunk", "9" * 30], "--chunk: expected a whole number from 1 to 1073741824, got '9999"),
                (["run", "--temp", "nan"], "--temp: expected a number from 0 to 1000000, got 'nan'"),
                (["run", "--top-p", "1.5"], "--top-p: expected a number from 0 to 1, got '1.5'"),
                (["run", "-ctk", "f8"], "--cache-type-k: expected f32, f16, bf16 or q8_0, got 'f8'"),
                (["bench", "-p", "16,x"], "--n-prompt: expected a whole number from 0 to 1073741824, got 'x'"),
                (["bench", "-o", "xml"], "--output: expected md or json, got 'xml'")):
            self.assertIn(f"error: {expected}", self.error(*arguments, status=2))
        # Decimal, as it looks.
        self.assertEqual(len(self.ok("generate", "--tokens", "1", "-n", "010", "--ignore-eos").split()), 10)

    def test_version(self):
        self.assertRegex(self.ok("--version"), rb"^moe-mlir \d+\.\d+\.\d+, model toy\n$")
        # Without weights it is the version all the same.
        self.assertRegex(self.ok("--version", program=BARE), rb"^moe-mlir [\d.]+, no model: .*payload was not found.*\n$")
        self.assertIn(b"--version", self.ok("--help"))

    def test_help(self):
        for arguments in (["--help"], ["-h"], ["run", "--help"], ["bench", "-h"]):
            self.assertIn(b"Usage", self.ok(*arguments))

    def test_tokenize(self):
        file = self.folder / "text"
        file.write_bytes(b"a\xff\n")
        ids = self.ok("tokenize", "-p", "a\ufffd\n")
        self.assertEqual(ids, self.ok("tokenize", "-f", file))
        self.assertRegex(ids, rb"^\d+( \d+)*\n$")
        self.assertEqual(self.ok("tokenize", "-p", ""), b"\n")
        self.ok("tokenize", "-p", "x", "--no-special")

    def test_info(self):
        card = json.loads(self.ok("info", "--json"))
        self.assertEqual((card["experts"], card["top_k"], card["parameters_active"]), (8, 2, 4321))
        self.assertEqual(card["memory"], {"weights_bytes": 8, "kv_context": 200, "kv_bytes": 4096})
        self.assertEqual(card["kv_types"], ["bf16", "q8_0"])
        self.assertEqual((card["kv_type_k"], card["kv_type_v"]), ("bf16", "bf16"))
        card = json.loads(self.ok("info", "--json", "-ctv", "q8_0"))
        self.assertEqual((card["kv_type_k"], card["kv_type_v"]), ("bf16", "q8_0"))
        self.assertEqual(card["memory"]["kv_bytes"], 3072)
        self.assertIn(b"KV bf16 and q8_0 (of bf16, q8_0)", self.ok("info", "-ctv", "q8_0"))
        self.assertEqual(card["exempt"], [])
        text = self.ok("info").decode()
        for part in ("toy (hash)", "1.23 M total", "top-k 2", "x86-64-v3", "KV 4.00 KiB", "KV bf16 (of bf16, q8_0)"):
            self.assertIn(part, text)

    def test_bench(self):
        out = self.ok("bench", "-p", "16,32", "-n", "4", "-t", "1,2", "-r", "2").decode()
        self.assertEqual(len(out.splitlines()), 2 + 6)
        self.assertIn("| 1 | bf16 | q8_0 | pp16 |", self.ok("bench", "-p", "16", "-n", "0", "-t", "1", "-r", "1", "-ctv",
                                                           "q8_0").decode())
        entries = json.loads(self.ok("bench", "-p", "8", "-n", "0", "-r", "3", "-o", "json", "-ctv", "q8_0"))
        self.assertEqual((entries[0]["type_k"], entries[0]["type_v"], entries[0]["attention_type"]),
                         ("bf16", "q8_0", "f32"))
        self.assertEqual([(e["n_prompt"], e["n_gen"], len(e["samples_ts"])) for e in entries], [(8, 0, 3)])
        profiled = json.loads(self.ok("bench", "-p", "100", "-n", "0", "-r", "2", "-o", "json", "--profile"))[0]["profile"]
        self.assertEqual((profiled["calls"], profiled["median_of"]), (3, 2))  # 48, 48 and 4 tokens
        self.assertEqual([row["layer"] for row in profiled["layers"]], [-1, 0, 1, 2, 3])
        self.assertIn("--peak requires --profile", self.error("bench", "--peak", "5", status=2))
        self.error("bench", "-p", "0", "-n", "0")
        for form in ("md", "json"):
            self.assertIn("201", self.error("bench", "-p", "16,201", "-o", form))
            self.assertIn("--chunk 49", self.error("bench", "-p", "16", "-n", "4", "--chunk", "49", "-o", form))


class Payload(Case):
    def test_weights_from_another_file(self):
        expected = self.ok("generate", "--tokens", "1", "-n", 3, "--greedy")
        for source in (PAYLOAD, MODEL):
            self.assertEqual(expected, self.ok("generate", "--tokens", "1", "-n", 3, "--greedy", "--weights", source,
                                               program=BARE))
        self.assertIn("payload was not found", self.error("info", program=BARE))
        self.assertIn("not a payload", self.error("info", "--weights", __file__))
        self.assertIn("No such file", self.error("info", "--weights", self.folder / "none"))

    def test_every_way_to_start(self):
        # GNU strip; LLVM's removes every section that is not loaded.
        strip = shutil.which("strip")
        if strip and b"GNU" not in subprocess.run([strip, "--version"], capture_output=True).stdout:
            strip = None
        copy = self.folder / "a copy"
        shutil.copy(MODEL, copy)
        self.ok("info", program=copy)
        link = self.folder / "link"
        link.symlink_to(copy)
        self.ok("info", program=link)
        result = subprocess.run(["a copy", "info"], executable=copy, capture_output=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        loader = pathlib.Path("/lib64/ld-linux-x86-64.so.2")
        if loader.exists():
            self.ok(copy, "info", program=loader)
        if strip:
            subprocess.run([strip, copy], check=True)
            self.ok("info", "--verify", program=copy)

    def test_damage(self):
        data = bytearray(MODEL.read_bytes())
        at = data.rindex(b"8 bytes.")
        data[at] ^= 1
        copy = self.folder / "copy"
        copy.write_bytes(data)
        copy.chmod(0o755)
        self.ok("info", program=copy)
        self.assertIn("section weights is damaged", self.error("info", "--verify", program=copy))
        copy.write_bytes(MODEL.read_bytes()[:-5000])
        self.assertIn("cut", self.error("info", program=copy))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
