"""Hugging Face directories: tensors as f32 by name, config.json beside them."""
import json
import shutil
import struct

import numpy as np

from . import script, weights

ELEMENTS = {"F32": ("f32", np.float32), "BF16": ("bf16", np.uint16), "F16": ("f16", np.uint16)}


def read_tensors(path):
    """{name: f32 array} of a safetensors file; 16-bit floats are widened."""
    data, tensors = np.memmap(path, np.uint8, "r"), {}
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start].tobytes())
    for name, about in header.items():
        if name != "__metadata__":
            element, kind = ELEMENTS[about["dtype"]]
            begin, end = (start + offset for offset in about["data_offsets"])
            bits = np.frombuffer(data[begin:end].tobytes(), kind)
            tensors[name] = weights.from_bits(bits, element).reshape(about["shape"])
    return tensors


def read(folder):
    """(config, tensors) of a directory with one safetensors file."""
    try:
        return json.loads((folder / "config.json").read_text()), read_tensors(folder / "model.safetensors")
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        return script.fail(f"{folder}: is no checkpoint: {error}; it is made anew once it is gone")


def write(folder, config, tensors, tokenizer=None):
    """A directory with f32 weights, and tokenizer.json of the directory `tokenizer` if it has one; whole or not at all."""
    with script.whole(folder) as made:
        made.mkdir()
        write_files(made, config, tensors, tokenizer)


def write_files(folder, config, tensors, tokenizer):
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "float32"}, indent=1))
    header, offset = {}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [offset, offset + 4 * tensor.size]}
        offset += 4 * tensor.size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor, np.float32).data)
    if tokenizer and (tokenizer / "tokenizer.json").exists():
        shutil.copy(tokenizer / "tokenizer.json", folder)
