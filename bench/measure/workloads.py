"""Shapes and grids of cells."""
import dataclasses
import itertools


@dataclasses.dataclass(frozen=True)
class Shape:
    name: str
    hidden: int
    width: int
    experts: int
    top_k: int

    def flops(self, tokens):
        """Useful ones: two products to the width and one from it, for each choice."""
        return 6 * tokens * self.top_k * self.hidden * self.width


SHAPES = {shape.name: shape for shape in (
    Shape("olmoe", 2048, 1024, 64, 8),      # OLMoE-1B-7B
    Shape("qwen3", 2048, 768, 128, 8),      # Qwen3-30B-A3B
    Shape("mixtral", 4096, 14336, 8, 2),    # Mixtral-8x7B
    Shape("tiny", 192, 96, 16, 4),          # to try the benchmark itself
)}

TOKENS = (1, 2, 4, 8, 16, 32, 64, 128, 512, 2048)
ROUTINGS = ("uniform", "skewed")


@dataclasses.dataclass(frozen=True)
class LayerCell:
    shape: str
    weights: str
    tokens: int
    routing: str   # uniform or skewed
    threads: int


# Every type in one shape; the larger a layer, the fewer.
FULL = {"olmoe": ("bf16", "f32", "f16", "int8", "int4", "int4_min", "mxfp4", "int8_channel", "int4_nl"),
        "qwen3": ("bf16", "f32", "int8", "int4", "mxfp4"),
        "mixtral": ("bf16", "f32", "int8", "int4")}


def full_layers(threads):
    for shape, types in FULL.items():
        for weights, routing, count, tokens in itertools.product(types, ROUTINGS, threads, TOKENS):
            yield LayerCell(shape, weights, tokens, routing, count)


def quick_layers(threads):
    """Every shape, type, routing and number of tokens, but not every combination; 2048 tokens only in one."""
    for count in threads:
        for tokens in TOKENS:
            yield LayerCell("olmoe", "bf16", tokens, "uniform", count)
        for shape, weights, routing, numbers in (
                ("olmoe", "bf16", "skewed", (8, 64, 512)),
                ("olmoe", "f32", "uniform", (1, 32, 512)),
                ("olmoe", "f16", "uniform", (1, 512)),
                ("olmoe", "int8", "uniform", (1, 8, 64, 512)),
                ("olmoe", "int4", "uniform", (1, 8, 64, 512)),
                ("olmoe", "int4_min", "uniform", (1, 512)),
                ("olmoe", "mxfp4", "uniform", (1, 512)),
                ("olmoe", "int8_channel", "uniform", (1, 512)),
                ("olmoe", "int4_nl", "uniform", (1, 512)),
                ("qwen3", "bf16", "uniform", (1, 8, 64, 512)),
                ("qwen3", "bf16", "skewed", (64, 512)),
                ("mixtral", "bf16", "uniform", (1, 4, 64)),
                ("mixtral", "bf16", "skewed", (64,))):
            for tokens in numbers:
                yield LayerCell(shape, weights, tokens, routing, count)


def is_chosen(args, shape, weights, tokens, routing="uniform"):
    """Whether the options choose such a cell."""
    fields = ((shape, args.shape), (weights, args.type), (tokens, args.tokens), (routing, args.routing))
    return all(not allowed or value in allowed for value, allowed in fields)


def chosen(args, grid):
    """Cells of a grid that the options choose, in the order in which they share a packed layer. Where shape, type and tokens
    are all given, they are the grid."""
    if args.shape and args.type and args.tokens:
        grid = [LayerCell(shape, weights, tokens, routing, threads) for shape, weights, routing, threads, tokens
                in itertools.product(args.shape, args.type, ROUTINGS, args.threads, args.tokens)]
    cells = [c for c in grid if is_chosen(args, c.shape, c.weights, c.tokens, c.routing)]
    shapes = list(SHAPES)
    return sorted(cells, key=lambda c: (shapes.index(c.shape), c.weights, c.routing == "skewed"))
