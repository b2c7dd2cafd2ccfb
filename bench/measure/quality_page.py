"""docs/quality.md from the results of bench/quality.py."""
import textwrap

from . import evaluators, subjects, tables

HEADER = """# Quality of weight formats

Written by `bench/quality.py report` from `bench/results/quality.json`; do not edit. Measured, after
`bench/peers.py setup --peer llama.cpp`, by the command above each table.

Every row is an evaluation of the same tokens by the same model, of which only layers' matrices (attention's projections and
experts) are in another format; embedding, head, norms and routers are f32, as are the KV cache and attention, in our
executables and in llama.cpp (`llama-quantize --pure`, without an importance matrix; {llama}).
Windows lie evenly spread over the text, each evaluated from an empty cache; all tokens of it count.

- *KL*: KL(f32 || format) of the next token's distribution in nats, summed in f64; the f32 is our own executable's.
  Its mean and its 99th percentile over tokens.
- *same top*: share of tokens whose likeliest successor is that of f32.
- *perplexity*: of the text.
- Brackets: 95 % intervals by the bootstrap over windows (1000 draws), since the tokens of one window are not independent.
  They say how far other text of the kind would move a figure; two rows share their windows, so a difference may be
  certain where their intervals overlap.
- *of llama.cpp's*: our mean KL over that of llama.cpp's format of the same size, both on the same draws.
- *by activations*: by how much rounding of activations to int8 raises the mean KL over that of the weights alone, which are
  the rows *activations f32*: what numpy makes of the weights (`bench/measure/formats.py`), compiled as f32. llama.cpp's
  rows contain its own rounding of activations.
- The row `F32` by llama.cpp is a check: it would show any difference of model, tokens or attention.

`bits` are those of a weight of a quantised matrix, scales included: by definition for ours (their panels are
padded to whole blocks, [weight-formats.md](weight-formats.md)), by the size of the file for llama.cpp's.
"""
LIMIT = 0.1  # of the KL of weights: what rounded activations may add
HEAD = ("by", "format", "bits", "tokens", "mean KL", "99th percentile", "same top, %", "perplexity", "of llama.cpp's",
        "by activations")


def number(value):
    """Three digits, without an exponent where that is readable."""
    return f"{value:.1e}" if abs(value) < 1e-4 else f"{value:.3g}"


def with_interval(figure, text=number):
    value, low, high = map(text, figure)
    return f"{value} [{low}, {high}]"


def percent(value):
    return f"{value * 100:+.1f} %"


def label(cell):
    if cell["by"] == "weights":
        return f"`{cell['format']}`, activations f32"
    return f"`{cell['format']}`" + (", dense" if cell["dense"] else "")


def order(cell):
    """By size; of one size ours, then ours without rounded activations, then llama.cpp's."""
    return -cell["bits"], ("moec", "weights", evaluators.PEER).index(cell["by"])


def row(cell, context):
    figures = cell["figures"]
    peer = figures.get("peer")
    same = [f"{value * 100:.2f}" for value in figures["same"]]
    return [evaluators.PEER if cell["by"] == evaluators.PEER else "moec", label(cell), f"{cell['bits']:g}",
            str(len(cell["kl"]) * context), with_interval(figures["kl"]), with_interval(figures["kl_99"]),
            f"{same[0]} [{same[1]}, {same[2]}]", with_interval(figures["perplexity"], lambda value: f"{value:.2f}"),
            with_interval(peer, lambda value: f"{value:.2f}") if peer else "",
            with_interval(figures["added"], percent) if "added" in figures else ""]


def dear(cells):
    """A sentence on the formats to which rounded activations add more than LIMIT, by the whole interval or a part of it."""
    figures = {cell["format"]: cell["figures"]["added"] for cell in cells if "added" in cell["figures"]}
    sure = [f"`{name}`" for name, (_, low, _) in figures.items() if low > LIMIT]
    open_ = [f"`{name}`" for name, (_, low, high) in figures.items() if low <= LIMIT < high]
    limit = f"{LIMIT * 100:.0f} %"
    return (f"Rounding of activations adds more than {limit} to the KL of these formats' weights: {', '.join(sure) or 'none'}; "
            f"perhaps of these (the interval holds {limit}): {', '.join(open_) or 'none'}.")


def section(subject, found):
    cells = sorted((cell for cell in found["cells"] if cell["model"] == subject.name), key=order)
    if not cells:
        return ""
    about = found["models"][subject.name]
    reference = [cell for cell in cells if (cell["by"], cell["format"]) == ("moec", "f32")][0]
    done = len(reference["kl"])
    windows = f"{done}" if done == about["windows"] else f"{done} (of {about['windows']} meant; then time was up)"
    facts = (f"{about['quantised']:,} of {about['weights']:,} weights are in the format. Text: {about['bytes']:,} bytes in "
             f"{about['documents']} documents, {about['tokens']:,} tokens, sha256 `{about['sha256'][:16]}`; "
             f"{windows} windows of {about['context']} tokens. In f32 its perplexity is "
             f"{with_interval(reference['figures']['perplexity'], lambda value: f'{value:.2f}')}.")
    rows = [row(cell, about["context"]) for cell in cells if cell is not reference]
    told = textwrap.fill(f"{subject.about} {facts}", 120, break_on_hyphens=False)
    return f"\n## {subject.title}\n\n{told}\n\n    {about['command']}\n\n" + tables.markdown(HEAD, rows) + f"\n{dear(cells)}\n"


def page(found):
    text = HEADER.format(llama=found["peers"][evaluators.PEER])
    return text + "".join(section(subject, found) for subject in subjects.SUBJECTS.values())
