#!/usr/bin/env python3
"""Writes docs/performance.md from the raw rounds in bench/results, and docs/performance-NAME.md from those of another machine
in bench/results/NAME; measures nothing."""
import itertools
import pathlib

from measure import results, script, tables

ROOT = pathlib.Path(__file__).resolve().parent.parent

HEADER = """# Speed

Written by `bench/report.py` from the raw rounds in `bench/results`; do not edit. [How it is measured](benchmarks.md): each
figure is a ratio to ceilings taken just before and after it, the median of the rounds that count, with a bootstrap interval
of 95 %. `floor %` is the least time that the routing drawn allows, divided by the time taken. Rounds count when their two
ceilings agree within 5 %; *(10 %)* behind their number marks a cell that was taken at 10 %, the machine being too restless.
"""


def machine(found):
    about = found["machine"]
    rest = "; ".join(f"{key} {value}" for key, value in about.items() if key != "isa")
    return f"\n`{found['command'].strip()}` on: {rest}; {' '.join(about['isa'])}.\n"


def rate(kind, value):
    return f"{value / 1e9:.1f} {'GB/s' if kind == 'read' else 'GFLOP/s'}"


def ceiling_table(tries):
    """The fastest try at each ceiling."""
    threads, rows = list(tries), []
    for kind in tries[threads[0]]:
        best = max(tries[threads[0]][kind], key=tries[threads[0]][kind].get)
        rows.append([kind, best] + [rate(kind, max(tries[count][kind].values())) for count in threads])
    head = ["ceiling", f"fastest try (threads: {threads[0]})"] + [f"{count} thread(s)" for count in threads]
    return tables.markdown(head, rows)


def tries_table(tries):
    """All of them."""
    threads = list(tries)
    rows = [[kind, name] + [rate(kind, tries[count][kind][name]) for count in threads]
            for kind in tries[threads[0]] for name in tries[threads[0]][kind]]
    return tables.markdown(["ceiling", "try"] + [f"{count} thread(s)" for count in threads], rows)


def figure(cell, figures=tables.figures):
    return figures(cell, cell["wanted"], cell["others"])


def between(cells):
    """Cells of layers against each other: skewed routing against uniform, two threads against one."""
    key = lambda cell, **other: tuple({**cell, **other}[name] for name in ("shape", "type", "routing", "tokens", "threads"))
    known = {key(cell): found for cell in cells if (found := figure(cell))["rounds"]}
    rows = []
    for cell in cells:
        one, skewed, two = (known.get(key(cell, **other)) for other in ({}, {"routing": "skewed"}, {"threads": 2}))
        if cell["routing"] != "uniform" or not one:
            continue
        # FLOPs are equal, so shares of the compute ceiling compare times at one speed of the machine.
        skew = f"{skewed['compute'] / one['compute']:.2f}" if skewed else ""
        more = f"{one['seconds'] / two['seconds']:.2f}" if two and cell["threads"] == 1 else ""
        if skew or more:
            rows.append([*map(str, key(cell)), skew, more])
    if not rows:
        return ""
    head = ["shape", "type", "routing", "tokens", "threads", "skewed / uniform, speed", "2 threads / 1, speed"]
    return "\n## Cells against each other\n\n" + tables.markdown(head, rows)


def section(title, cells, keys):
    """A table of cells, first the fields `keys` of each."""
    rows = [[str(cell[key]) for key in keys] + tables.columns(figure(cell)) for cell in cells]
    return f"\n## {title}\n\n" + tables.markdown(list(keys) + list(tables.HEAD), rows)


def own(found):
    text = machine(found) + "\n## Ceilings\n\n" + ceiling_table(found["ceilings"])
    cells = lambda kind: [cell for cell in found["cells"] if cell["kind"] == kind]
    name = lambda cell: (cell["shape"], cell["type"])
    for (shape, kind), group in itertools.groupby(sorted(cells("layer"), key=name), name):
        group = sorted(group, key=lambda c: (c["routing"] != "uniform", c["threads"], c["tokens"]))
        worst = max(group, key=lambda c: c["error"] / c["tolerance"])
        text += section(f"One MoE layer: {shape}, {kind}", group, ("routing", "threads", "tokens"))
        text += (f"\nRows {group[0]['activation']}, recipe {group[0]['recipe']}; largest error against numpy "
                 f"{worst['error']:.1e}, tolerance {worst['tolerance']:.0e} of the largest result.\n")
    text += between(cells("layer"))
    for kind, title, keys in (("model", "A whole model: OLMoE-1B-7B's shape", ("layers", "type", "test", "threads")),
                              ("part", "Parts of a layer", ("part", "shape", "type", "tokens", "threads")),
                              ("attention", "Attention", ("phase", "shape", "cache", "products", "context", "threads"))):
        if cells(kind):
            text += section(title, cells(kind), keys)
    if found["faults"]:
        text += "\n## Faults\n\n" + "".join(f"- {line}\n" for line in found["faults"])
    return text, "\n## Every try at a ceiling\n\n" + tries_table(found["ceilings"])


def peers(found):
    text = "\n## Beside peers\n" + machine(found) + "\n"
    text += "".join(f"- {name}: {about}\n" for name, about in found["peers"].items())
    rows = [[cell[key] for key in ("peer", "workload", "format", "ours")] + [str(cell["tokens"]), str(cell["threads"])]
            + tables.peer_columns(figure(cell, tables.peer_figures)) for cell in found["cells"]]
    head = ["peer", "workload", "its format", "ours", "tokens", "threads", *tables.PEER_HEAD]
    return text + "\n" + tables.markdown(head, rows)


def page_of(write, paths):
    """What `write` makes of results, whose cells may be of another script or version."""
    try:
        return write(results.read(*paths))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        return script.fail(f"{', '.join(map(str, paths))}: holds other results than expected: {type(error).__name__} {error}")


def write_page(own_paths, peer_paths, out, others=()):
    """`others`: pages of other machines."""
    text, tail = page_of(own, own_paths)
    if peer_paths:
        text += page_of(peers, peer_paths)
    links = ", ".join(f"[{page.stem}]({page.name})" for page in others)
    script.write_text(out, HEADER + (f"\nOther machines: {links}.\n" if links else "") + text + tail)


def of_kind(folder, kind):
    return sorted(folder.glob(f"{kind}*.json"))


def pages_of(folder, page):
    """{folder with results of one machine: its page}: `folder` itself and those in it."""
    folders = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    return {each: page if each == folder else page.with_name(f"{page.stem}-{each.name}{page.suffix}")
            for each in folders if of_kind(each, "own")}


def write_pages(pages):
    if not pages:
        script.fail("no raw rounds; bench/run.py writes them")
    for folder, out in pages.items():
        write_page(of_kind(folder, "own"), of_kind(folder, "peers"), out, [other for other in pages.values() if other != out])


def main():
    parser = script.Parser(__doc__)
    parser.add_argument("--own", type=pathlib.Path, nargs="+",
                        help="for one page: raw rounds of bench/run.py, of one run or several (bench/results/own*.json)")
    parser.add_argument("--peers", type=pathlib.Path, nargs="+",
                        help="raw rounds of bench/peers.py for that page (without --own: bench/results/peers*.json)")
    parser.add_argument("--out", type=script.output, help="that page; --own and --peers want it")
    args = parser.parse_args()
    results_folder = ROOT / "bench/results"
    if not args.out:
        if args.own or args.peers:
            script.fail("--own and --peers are of one page; name it by --out")
        return write_pages(pages_of(results_folder, ROOT / "docs/performance.md"))
    own_paths = args.own or of_kind(results_folder, "own")
    if not own_paths:
        script.fail("no raw rounds; bench/run.py writes them")
    peer_paths = args.peers or ([] if args.own else of_kind(results_folder, "peers"))
    return write_page(own_paths, peer_paths, args.out)


if __name__ == "__main__":
    script.main(main)
