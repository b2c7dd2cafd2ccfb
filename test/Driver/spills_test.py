#!/usr/bin/env python3
"""Register tiles of every level of instructions: one for each row count (of AMX for all), no vector spilled in an
innermost loop but those named below. Libraries that use AMX ask Linux for it.

usage: spills_test.py MOEC GOLDENS
"""
import pathlib
import re
import subprocess
import sys
import tempfile

MOEC = sys.argv[1]
FLOATS, INTEGERS = ("f32", "bf16", "f16"), ("int8", "int4", "int4_min", "mxfp4", "int8_channel", "int4_nl")
AMX = {16, 32}  # a matrix tile serves all row counts up to its own
# A machine, its registers, the most rows of a tile of f32, bf16, f16 and integers, and what it multiplies
# with (BFDOT: four rows with BFMMLA).
MACHINES = (
    ("x86-64-v3", "ymm", (6, 6, 4, 6), {"f32": "vfmadd231ps", "int8": "vpmaddwd", "int4": "vpmaddubsw"}),
    ("alderlake", "ymm", (6, 6, 4, 6), {"bf16": "vfmadd231ps", "int8": "vpdpbusd", "mxfp4": "vpdpbusd"}),
    ("gracemont", "ymm", (6, 6, 4, 6), {"bf16": "vfmadd231ps", "int8": "vpdpbusd", "int4": "vpdpbusd"}),
    ("x86-64-v4", "zmm", (12, 12, 12, 6), {"f32": "vfmadd231ps", "int8": "vpmaddwd", "int4": "vpmaddubsw"}),
    ("cascadelake", "zmm", (12, 12, 12, 6), {"bf16": "vfmadd231ps", "int8": "vpdpbusd"}),
    ("icelake-server", "zmm", (12, 12, 12, 6), {"bf16": "vfmadd231ps", "int8": "vpdpbusd"}),
    ("sapphirerapids", "zmm", (12, AMX, 12, 6), {"bf16": "tdpbf16ps", "int8": "vpdpbusd"}),
    ("graniterapids", "zmm", (12, AMX, 12, 6), {"bf16": "tdpbf16ps", "int4": "vpdpbusd"}),
    ("znver4", "zmm", (12, 12, 12, 6), {"bf16": "vdpbf16ps", "int4_min": "vpdpbusd"}),
    ("armv8-a", "q", (6, 5, 4, 4), {"f32": "fmla", "int8": "smull", "int4": "smull"}),
    ("cortex-a76", "q", (6, 5, 4, 6), {"bf16": "fmla", "int8": "sdot", "mxfp4": "sdot"}),
    ("neoverse-n1", "q", (6, 5, 4, 6), {"f16": "fmla", "int8": "sdot", "int4": "sdot"}),
    ("armv8.6-a", "q", (6, 4, 4, 6), {"bf16": "bfdot", "int8": "usdot", "int4_min": "usdot"}),
    ("neoverse-v1", "q", (6, 4, 4, 6), {"bf16": "bfdot", "int8": "usdot"}),
)
# Rows of integers of which 16 registers hold both vectors of a panel.
WHOLE_PANELS = {"x86-64-v3": dict.fromkeys(INTEGERS[:-1], 4)}
# The most rows of a tile of each of INTEGERS, where rows are floats (lm.activations).
FLOAT_ROWS = {"ymm": (6, 6, 6, 6, 6, 6), "zmm": (12, 12, 12, 12, 12, 12), "q": (4, 4, 3, 3, 3, 3)}
# Of int8_channel, which holds no sums in f32, where four products of bytes are one instruction.
WHOLE_ROWS = {"ymm": ("vpdpbusd", 6), "zmm": ("vpdpbusd", 12), "q": ("usdot", 6)}
# Of four lines LLVM widens all before the first product: two vectors are stored and read again, and still it is what reads
# memory fastest (MicroKernel.cpp). Of int4_nl, whose products take two steps, the table is read again: one load beside 24 of rows.
ALLOWED = {("ymm", "tile_bf16_widen_1x64"): 4, ("ymm", "tile_int4_nl_6x16"): 1}
# Likewise of integers: two rows x four panels are 16 sums, of which half wait in memory; a table, masks and eight sums are more
# vectors than registers.
ALLOWED |= {("ymm", f"tile_{tile}"): most for tile, most in (
    ("int8_2x64_stream", 20), ("int8_channel_2x64_stream", 20), ("int4_2x64_stream", 22), ("int4_min_2x64_stream", 18),
    ("mxfp4_2x64_stream", 26), ("int4_nl_1x64", 8), ("int4_2x32", 2), ("mxfp4_2x32", 2), ("int4_nl_2x32", 2))}
# Weights that become floats leave no register for their scale: with 16, tiles of five and six rows read what never changes
# from the stack, at most three loads beside 20 or 24 of rows.
RELOADS = {("ymm", rows): 3 for rows in (5, 6)}
VECTOR = re.compile(r"%[xyz]mm\d|\b[qdsv]\d+\b")
TILE = re.compile(r"tile_(\w+)_(\d+)x\d+(?:_stream)?$")
STACK = re.compile(r"-?\d*\(%rsp[^)]*\)|\[sp\b[^]]*\]")


def graph(kinds):
    """A product of each format; its tiles are made for all row counts."""
    text = ""
    for kind in kinds:
        element = kind if kind in FLOATS else "f32"
        attribute = "" if kind in FLOATS else f" {{lm.format = #lm.format<{kind}>}}"
        # Pairs of bf16 are products of rows that are bf16 themselves.
        x = "tensor<?x256xbf16>" if kind == "bf16" else "tensor<?x256xf32>"
        weight = f"tensor<512x256x{element}>"
        text += f"""
func.func @linear_{kind}(%x: {x}, %w: {weight}{attribute}) -> tensor<?x512xf32> {{
  %y = lm.linear %x, %w : ({x}, {weight}) -> tensor<?x512xf32>
  return %y : tensor<?x512xf32>
}}
"""
    return text


def tiles(listing):
    """Name and lines of each tile."""
    name, body = None, []
    for line in listing.splitlines():
        label = re.match(r"(tile_\w+):", line)
        if label:
            name, body = label[1], []
        elif name and line.startswith(".Lfunc_end"):
            yield name, body
            name = None
        elif name:
            body.append(line)


def loop_spans(body):
    labels, spans = {}, set()
    for i, line in enumerate(body):
        if label := re.match(r"(\.L\w+):", line):
            labels[label[1]] = i
        target = re.match(r"\s+(?:j\w+|b|b\.\w+|cbn?z|tbn?z)\s.*?(\.L\w+)", line)
        if target and target[1] in labels:
            spans.add((labels[target[1]], i))
    return spans


def innermost_loops(body):
    spans = loop_spans(body)
    for first, last in spans:
        if not any(first <= f and l <= last and (f, l) != (first, last) for f, l in spans):
            yield body[first:last + 1]


def is_store(line):
    return line.startswith("st") or line.rstrip().endswith(")")


def spills(loop):
    """Vectors that go to the stack or come from it. What never changes and is an instruction's operand in memory, a
    constant among them, costs no more there than elsewhere."""
    found = [line.strip() for line in loop if VECTOR.search(line) and STACK.search(line)]
    stored = {STACK.search(line)[0] for line in found if is_store(line)}
    is_move = lambda line: re.match(r"v?mov|ld|st", line)
    return [line for line in found if is_move(line) or STACK.search(line)[0] in stored]


def family_of(name):
    return re.sub("_(widen|dot)$|(?<=bf16)_amx$", "", name)


def row_counts(names):
    """Of each family the rows for which there is a tile."""
    counts = {}
    for name in names:
        family, rows = TILE.match(name).groups()
        counts.setdefault(family_of(family), set()).add(int(rows))
    return counts


def check_matrix(machine, name, body, word):
    """Products are in a loop, a tile of weights for all tiles of rows, and no tile goes to the stack."""
    rows, columns = map(int, re.search(r"_(\d+)x(\d+)$", name).groups())
    counts = [sum(word in line for line in body[first:last + 1]) for first, last in loop_spans(body)]
    assert max(counts, default=0) == rows // 16 * (columns // 16), (machine, name, counts)
    assert not any("%tmm" in line and STACK.search(line) for line in body), (machine, name)


def check_fetches(machine, name, body, most_rows):
    """Tiles of one or two panels fetch a line or two beside another's products, not all of a group at once."""
    size = re.search(r"_(\d+)x(16|32)(_stream)?$", name)
    if not size or size[1] == "1":
        return
    runs = re.findall("p+", "".join("p" if "\tprefetch" in line else "." for line in body))
    assert max(map(len, runs), default=0) <= 4, (machine, name, runs)
    assert runs or int(size[1]) < most_rows, (machine, name)


def fetches(body):
    return any("\tprefetch" in line for line in body)


def check_streams(machine, found):
    """With AVX2 one and two rows of integers read several panels at once and fetch nothing; pairs of panels fetch each line."""
    two = "2x64_stream" if machine in WHOLE_PANELS else "2x32"
    for kind in INTEGERS:
        for size in ("1x64", two)[:1 if kind == "int4_nl" and machine in WHOLE_PANELS else 2]:
            assert not fetches(found[f"tile_{kind}_{size}"]), (machine, kind, size)
        assert fetches(found[f"tile_{kind}_1x16"]), (machine, kind)


def check_panels(machine, found):
    """Four rows of integers read a line once, for both vectors of a panel: one loop over lines. Narrow sums are joined once a
    group."""
    for kind in WHOLE_PANELS[machine]:
        body = found[f"tile_{kind}_4x16"]
        loops = list(innermost_loops(body))
        assert len(loops) == 1, (machine, kind, len(loops))
        if any("vpmaddubsw" in line for line in loops[0]):
            joins = sum("vpmaddwd" in line for line in body)
            assert joins == 4 * 2, (machine, kind, joins)


def check(folder, machine, registers, limits, words, float_rows=False):
    listing, graph = folder / "listing.s", "float_rows.mlir" if float_rows else "graph.mlir"
    subprocess.run([MOEC, folder / graph, "--emit=asm", f"--target={machine}", "-o", listing], check=True,
                   stderr=subprocess.DEVNULL)
    whole = listing.read_text()
    assert ("\tsyscall" in whole) == ("\tldtilecfg" in whole) == ("\ttilerelease" in whole), machine
    found = dict(tiles(whole))
    expected = {family: rows if rows == AMX else set(range(1, rows + 1)) for family, rows in limits.items()}
    assert row_counts(found) == expected, (machine, row_counts(found))
    if registers == "ymm" and not float_rows:
        check_streams(machine, found)
    if machine in WHOLE_PANELS and not float_rows:
        check_panels(machine, found)
    loops = 0
    for name, body in found.items():
        stem, rows = TILE.match(name).groups()
        family = family_of(stem)
        text = "\n".join(body)
        used = {"q": r"\bv\d+\.4s", "ymm": "%ymm", "zmm": "%zmm"}[registers]
        assert re.search(used, text) and (registers == "zmm" or "%zmm" not in text), (machine, name)
        word = words.get(family, "")
        word = "bfmmla" if word == "bfdot" and rows == "4" else word
        assert word in text, (machine, name, word)
        if limits[family] == AMX:
            check_matrix(machine, name, body, "tdpbf16ps" if family == "bf16" else "tdpbsud")
        elif registers != "q" and family in INTEGERS and not float_rows:
            check_fetches(machine, name, body, limits[family])
        for loop in innermost_loops(body):
            loops += 1
            bad = spills(loop)
            allowed = ALLOWED.get((registers, name), 0)
            if float_rows and not any(map(is_store, bad)):
                allowed = RELOADS.get((registers, int(re.search(r"_(\d+)x\d+$", name)[1])), 0)
            assert len(bad) <= allowed, (machine, name, bad)
    assert loops >= len(found), machine
    print(machine, len(found), "tiles", loops, "loops", flush=True)


def main():
    assert spills(["\tvmovups\t%ymm1, -72(%rsp)", "\tvmovups\t64(%rsp), %ymm1", "\tldp\tq0, q1, [sp, #32]",
                   "\tvfmadd213ps\t-72(%rsp), %ymm1, %ymm2"]) and not spills(
        ["\tvpand\t64(%rsp), %ymm7, %ymm12", "\tmovq\t8(%rsp), %rax", "\tldr\tx0, [sp, #8]"])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "graph.mlir").write_text(graph(FLOATS + INTEGERS))
        (folder / "float_rows.mlir").write_text(
            "module attributes {lm.activations = #lm.format<f32>} {" + graph(INTEGERS) + "}\n")
        for machine, registers, most, words in MACHINES:
            limits = dict(zip(FLOATS, most)) | dict.fromkeys(INTEGERS, most[-1]) | WHOLE_PANELS.get(machine, {})
            if "smull" in words.values():
                limits["int4_nl"] = 2  # widens what it looked up
            word, rows = WHOLE_ROWS[registers]
            if word in words.values():
                limits["int8_channel"] = rows
            if AMX in most:
                limits |= {f"{kind}_amx": AMX for kind in INTEGERS if kind != "int8_channel"}
            check(folder, machine, registers, limits, words)
            limits = dict(zip(INTEGERS, FLOAT_ROWS[registers]))
            multiply = "fmla" if registers == "q" else "vfmadd"
            check(folder, machine, registers, limits, dict.fromkeys(INTEGERS, multiply), float_rows=True)


if __name__ == "__main__":
    main()
