"""Logits of a model in one format: by moec's executable, or by llama.cpp in a process that stays."""
import dataclasses
import pathlib
import subprocess
import tempfile
import zipfile

import numpy as np

from . import checkpoint, host, peer_setup, recast, script, weights

PEER = peer_setup.LLAMA.name
LOGITS = peer_setup.BUILD / "llama_logits"
QUANTISE = peer_setup.LLAMA.build() / "bin/llama-quantize"


@dataclasses.dataclass(frozen=True)
class Format:
    """Of layers' matrices; all else is f32 in each of them."""
    by: str               # moec, weights (quantised, then computed in f32) or llama.cpp
    name: str
    dense: bool = False   # llama.cpp alone: of the FFN as one matrix, which has more columns than an expert
    overrides: tuple = ()  # llama-quantize's --tensor-type

    def key(self):
        return f"{self.by} {self.name}" + (" dense" if self.dense else "")

    def is_check(self):
        """Whether it tells of the measurement, or of a part of an error, and a part of the windows is enough."""
        return self.by == "weights" or self.name == "F32"

    def file(self):
        return self.key().replace(" ", "-").replace("/", "-")


OURS = ("int8", "int4", "int4_min", "mxfp4", "int8_channel", "int4_nl")
REFERENCE = Format("moec", "f32")
FORMATS = (REFERENCE, Format(PEER, "F32"), *(Format("moec", name) for name in OURS),
           *(Format("weights", name) for name in OURS),
           *(Format(PEER, name) for name in ("Q8_0", "Q4_1", "Q4_0", "IQ4_NL", "MXFP4")))
# Ours, and llama.cpp's format of the same size.
SAME_SIZE = dict(zip(OURS, ("Q8_0", "Q4_0", "Q4_1", "MXFP4", "Q8_0", "IQ4_NL")))
FIVE_BITS = (Format(PEER, "Q5_1"), Format(PEER, "Q5_0"))
# Only a dense FFN's down_proj has a multiple of 256 columns.
DENSE = (Format(PEER, "F32", True), Format(PEER, "Q8_0, down Q6_K", True, ("ffn_down=q6_K",)),
         Format(PEER, "Q4_0, down Q4_K", True, ("ffn_down=q4_K",)))


def make(command):
    """Runs what makes a file; its last words are the error."""
    host.run(command, capture_output=True, text=True, check=True)


def make_file(path, command):
    """Runs command(path), which makes a file, unless there is one; a file is whole or not there."""
    if not path.exists():
        with script.whole(path) as made:
            make(command(made))
    return path


def read_arrays(path):
    """What NumPy wrote: the array of a .npy, or a dictionary of those of a .npz."""
    try:
        found = np.load(path)
        return found if isinstance(found, np.ndarray) else dict(found)
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        return script.fail(f"{path}: is damaged: {error}; it is made anew once it is gone")


class Executable:
    """What moec made, one process a call."""

    def __init__(self, path, threads):
        self.path, self.threads = path, threads

    def logits(self, ids):
        """f32 [tokens, vocabulary]"""
        with tempfile.NamedTemporaryFile(suffix=".npy") as out:
            subprocess.run([self.path, "logits", "--tokens", ",".join(map(str, ids)), "--out", out.name, "-t",
                            str(self.threads)], check=True, capture_output=True)
            return read_arrays(pathlib.Path(out.name))

    def close(self):
        pass


class Llama:
    """bench/peers/llama_logits.cpp"""

    def __init__(self, path, vocabulary, context, threads):
        self.vocabulary = vocabulary
        self.process = subprocess.Popen([LOGITS, path, str(threads), str(context)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def ask(self, line, more=b""):
        try:
            self.process.stdin.write(line.encode() + b"\n" + more)
            self.process.stdin.flush()
        except BrokenPipeError:
            self.ended()

    def ended(self):
        script.fail(f"llama_logits ended with status {self.process.wait()}")

    def logits(self, ids):
        self.ask("logits " + " ".join(map(str, ids)))
        raw = self.process.stdout.read(4 * len(ids) * self.vocabulary)
        if len(raw) < 4 * len(ids) * self.vocabulary:
            self.ended()
        return np.frombuffer(raw, np.float32).reshape(len(ids), self.vocabulary)

    def tokenize(self, text):
        raw = text.encode()
        self.ask(f"tokenize {len(raw)}", raw)
        if not (line := self.process.stdout.readline()):
            self.ended()
        return list(map(int, line.split()))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Model:
    """A checkpoint in f32 and what is made from it, each once: files beside it."""

    def __init__(self, folder, moec, dense=None, vocabulary=None):
        """`dense`: a directory of the same function with dense FFNs; `vocabulary`: a GGUF that has it."""
        self.folder, self.moec, self.dense, self.vocabulary = folder, moec, dense, vocabulary
        self.config, tensors = checkpoint.read(folder / "checkpoint")
        self.quantised = sum(tensor.size for name, tensor in tensors.items() if recast.is_quantised(name))
        self.size = sum(tensor.size for tensor in tensors.values())

    def compile(self, source, name, *options):
        return make_file(self.folder / name, lambda path: [self.moec, source, "-o", path, *options])

    def executable(self, form):
        """Of a format by moec, or of floats that its quantisation stands for."""
        if form.by == "moec":
            options = [] if form == REFERENCE else [f"--quant={form.name}"]
            return self.compile(self.folder / "checkpoint", form.file(), *options)
        made = self.folder / f"checkpoint-{form.name}"
        if not made.exists():
            config, tensors = checkpoint.read(self.folder / "checkpoint")
            checkpoint.write(made, config, recast.stand_for(tensors, form.name), self.folder / "checkpoint")
        return self.compile(made, form.file())

    def floats(self, dense):
        """The GGUF in f32."""
        source = self.dense if dense else self.folder / "checkpoint"
        vocabulary = [self.vocabulary] if self.vocabulary else []
        return make_file(self.folder / ("dense.gguf" if dense else "experts.gguf"), lambda path: [
            peer_setup.TOOLS.python(), peer_setup.SOURCES / "checkpoint_gguf.py", source, path, *vocabulary])

    def gguf(self, form):
        source = self.floats(form.dense)
        if form.name == "F32":
            return source
        kind = {"MXFP4": "MXFP4_MOE"}.get(form.name, form.name.split(",")[0])
        return make_file(self.folder / f"{form.file()}.gguf", lambda path: [
            QUANTISE, "--pure", "--token-embedding-type", "f32", "--output-tensor-type", "f32",
            *(word for each in form.overrides for word in ("--tensor-type", each)), source, path, kind])

    def bits(self, form):
        """Bits a weight of a layer's matrix: by definition (ours), by what the file lost (llama.cpp's)."""
        if form.by != PEER:
            return 8 * weights.TYPES[form.name].bytes
        lost = self.floats(form.dense).stat().st_size - self.gguf(form).stat().st_size
        return round(32 - 8 * lost / self.quantised, 2)

    def evaluator(self, form, context, threads):
        if form.by == PEER:
            return Llama(self.gguf(form), self.config["vocab_size"], context, threads)
        return Executable(self.executable(form), threads)
