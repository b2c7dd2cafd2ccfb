"""Weight types, one record each."""
import dataclasses

import numpy as np

from . import formats


@dataclasses.dataclass(frozen=True)
class WeightType:
    name: str
    element: str              # of the argument's tensor type
    attribute: str            # of the argument, behind its type; "" for none
    bytes: float              # a weight, scales included
    recipes: tuple            # of the compute ceiling: the fastest of them
    tolerance: float          # of a result, relative to the largest; with `pairs` where rows are bf16
    pairs: float = 0.0
    sums: str = ""            # the recipe of a quantised type's products

    def is_quantised(self):
        return bool(self.attribute)


def quantised(name, bits, recipe, sums="group-sums"):
    """Handed over as bf16; rows become int8, which is what the tolerance is for.

    Of normal values the largest of 32 is about 2.1 standard deviations, of a row of 2048 3.5: so are the steps.
    """
    tolerance = 3e-2 if sums == "group-sums" else 5e-2
    return WeightType(name, "bf16", f"{{lm.format = #lm.format<{name}>}}", bits / 8, (recipe,), tolerance, sums=sums)


TYPES = {kind.name: kind for kind in (
    WeightType("f32", "f32", "", 4, ("f32-fma",), 2e-5),
    WeightType("f16", "f16", "", 2, ("f16-widen",), 2e-5),
    # Rows are bf16 with the recipe of pairs, and so is the intermediate: 8 bits of precision.
    WeightType("bf16", "bf16", "", 2, ("bf16-widen", "bf16-pairs"), 2e-5, 2e-2),
    quantised("int8", 8.5, "int8"),
    quantised("int4", 4.5, "int4"),
    quantised("int4_min", 5, "int4"),  # one more fma a group than the loop has
    quantised("mxfp4", 4.25, "mxfp4"),
    quantised("int4_nl", 4.5, "mxfp4"),  # a table, too; larger integers take two products where MXFP4's take one (AVX2)
    quantised("int8_channel", 8, "int8-rows", "row-sums"),  # a scale a row
)}


def to_bits(array, element):
    """f32 to what a library takes."""
    if element == "bf16":
        bits = array.view(np.uint32)
        return ((bits + 0x7fff + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    return array.astype(np.float16).view(np.uint16) if element == "f16" else array


def from_bits(array, element):
    """The reverse, exactly."""
    if element == "bf16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.view(np.float16).astype(np.float32) if element == "f16" else array


class Random:
    """A tensor of normal values without holding one: a block repeated, each copy elsewhere in its expert.

    Every expert has bytes of its own in memory; a prime length keeps equal values from lining up.
    """
    LENGTH = 1_000_003

    def __init__(self, shape, kind, scale, seed):
        values = np.random.default_rng(seed).standard_normal(self.LENGTH, np.float32) * np.float32(scale)
        self.shape, self.kind = shape, kind
        self.block = to_bits(values, kind.element)

    def expert(self, number):
        """What expert `number` stands for, as f32."""
        size = int(np.prod(self.shape[1:]))
        matrix = from_bits(self.bits(number * size, size), self.kind.element).reshape(self.shape[1:])
        return formats.stands_for(matrix, self.kind.name) if self.kind.is_quantised() else matrix

    def logical(self):
        """The whole tensor as a library takes it."""
        return self.bits(0, int(np.prod(self.shape))).reshape(self.shape)

    def bits(self, start, size):
        """`size` elements from number `start` on."""
        result = np.empty(size, self.block.dtype)
        start %= self.LENGTH
        done = 0
        while done < size:
            part = self.block[start:start + size - done]
            result[done:done + len(part)] = part
            done, start = done + len(part), 0
        return result
