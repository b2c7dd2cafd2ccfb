"""Text that a model was not trained on, as windows of token ids. Nothing of it is in the repository."""
import hashlib
import html
import json
import os
import pathlib
import re
import shutil

import numpy as np

from . import host, script

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TINY = ROOT / "examples/tiny-moe"
KINDS = ("bible", "dictionary", "python", "sums")
PACKAGES = ("bible-kjv", "bible-kjv-text", "wordnet-base", "debian-handbook")


def unpack_packages(folder):
    """Files of Debian's PACKAGES below `folder`; nothing is installed."""
    if folder.exists():
        return
    if not shutil.which("apt-get"):
        script.fail("no apt-get: texts come from Debian's packages")
    downloads = folder.with_name("download")
    downloads.mkdir(parents=True, exist_ok=True)
    host.run(["apt-get", "download", "-qq", *PACKAGES], check=True, cwd=downloads, capture_output=True)
    with script.whole(folder) as made:
        for package in sorted(downloads.glob("*.deb")):
            host.run(["dpkg-deb", "-x", package, made], check=True, capture_output=True)


def tiny_moe(debian, folder):
    """Held-out documents of the shipped model, as its training script parts them."""
    if not folder.exists():
        with script.whole(folder) as made:
            # `bible` looks for its data where it is called.
            host.run(["/usr/bin/python3", TINY / "prepare_data.py", "--texts-only", "--out", made.absolute(), "--wordnet",
                      debian.absolute() / "usr/share/wordnet"], check=True, cwd=debian / "usr/lib", capture_output=True,
                     env=os.environ | {"PATH": f"{debian.absolute()}/usr/bin:{os.environ['PATH']}"})
    known, documents = json.loads((TINY / "results.json").read_text())["bits_per_byte"], []
    for kind in KINDS:
        held = read_documents(folder / f"{kind}.held.json")
        size = len("".join(held).encode())
        if size != known[kind]["held_out_bytes"]:
            script.fail(f"{kind}: {size} bytes are held out, in training {known[kind]['held_out_bytes']} were: packages of "
                        "other versions")
        documents += held
    return documents


def read_documents(path):
    """A list of texts."""
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        script.fail(f"{path}: is no JSON: {error}; its folder is made anew once it is gone")
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        script.fail(f"{path}: is no list of texts; its folder is made anew once it is gone")
    return found


def handbook(debian):
    """Paragraphs of the Debian Administrator's Handbook in English, a document a section."""
    documents = []
    for page in sorted((debian / "usr/share/doc/debian-handbook/html/en-US").glob("*.html")):
        found = re.findall(r'<div class="para">((?:(?!<div).)*?)</div>', page.read_text(), re.DOTALL)
        plain = [" ".join(html.unescape(re.sub("<[^>]*>", "", paragraph)).split()) for paragraph in found]
        documents.append("\n\n".join(text for text in plain if len(text) >= 100))
    return [text for text in documents if text]


def digest(documents):
    """What was read, for the results."""
    raw = "".join(documents).encode()
    return {"documents": len(documents), "bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}


def windows(ids, count, context):
    """[count, context + 1] ids, evenly spaced and apart, in random order; the last of each is only predicted."""
    room = len(ids) - context - 1
    if room < (count - 1) * (context + 1):
        script.fail(f"{len(ids)} tokens are too few for {count} windows of {context}")
    starts = np.linspace(0, room, count).astype(int)
    return np.stack([ids[start:start + context + 1] for start in np.random.default_rng(0).permutation(starts)])
