"""Draw docs/architecture.svg and the table of docs/architecture.md from the code.

python docs/draw_architecture.py            writes both
python docs/draw_architecture.py --check    says whether both are current (exit status 1 if not)

Layers are those that import-linter enforces (pyproject.toml), arrows the imports that are there,
descriptions the first line of each folder's `__init__.py`. Shares of the code are rounded to 5 %,
so that the picture changes with the architecture and not with every commit.
"""

import ast
import sys
import textwrap
import tomllib
from collections import Counter
from functools import lru_cache
from html import escape
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "architecture.svg"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- begin: draw_architecture.py -->\n", "<!-- end -->\n"

# What each layer hands up to the next; `check_flow` requires that the upper one imports the lower.
FLOW = {
    ("orders", "features"): "order histories",
    ("features", "models"): "feature rows",
    ("models", "evaluation"): "forecasts",
    ("evaluation", "decisions"): "checked forecasts",
}
OUTSIDE = {  # what comes in from outside (+) or goes out (-)
    "orders": ("+", "files, databases, records"),
    "decisions": ("-", "KPIs, lists, report"),
    "train": ("-", "model bundles, runs"),
    "serve": ("-", "forecasts: files, HTTP"),
    "commands": ("+", "you, a scheduler"),
}
LEFT, WIDTH, RIGHT, GAP, TALL, SLIM = 230, 560, 190, 26, 56, 30
INK, QUIET, LINE, DATA, FILL, SOFT = (
    "#1d2733",
    "#5b6875",
    "#a9b4bf",
    "#c2571a",
    "#eef3fa",
    "#f7f8fa",
)


def read_layers() -> list[list[str]]:
    """The layers of the first import-linter contract, top first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    return [[name.strip().removeprefix("clvcast.") for name in row.split("|")] for row in layers]


def read_imports() -> dict[str, set[str]]:
    """Folder or root module -> those it imports from; the root's lazy names are no imports."""
    graph = grimp.build_graph("clvcast", cache_dir=None)
    imports: dict[str, set[str]] = {}
    for module in graph.modules - {"clvcast"}:
        part = module.split(".")[1]
        others = {name.split(".")[1] for name in graph.find_modules_directly_imported_by(module)
                  if name != "clvcast"}  # fmt: skip
        imports.setdefault(part, set()).update(others - {part})
    return imports


def drop_implied(imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """The imports without those that another path implies (the transitive reduction)."""

    def reach(part: str) -> set[str]:
        return imports[part].union(*(reach(other) for other in imports[part]))

    return {
        part: {one for one in others if not any(one in reach(other) for other in others)}
        for part, others in imports.items()
    }


def find_folders(part: Path) -> list[Path]:
    """A package's folders, itself first."""
    return sorted(path.parent for path in part.rglob("__init__.py"))


@lru_cache
def count_statements(part: str) -> int:
    """Python statements of a folder with its subfolders, or of a root module."""
    path = ROOT / part
    modules = path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]
    trees = (ast.parse(module.read_text(encoding="utf-8")) for module in modules)
    return sum(isinstance(node, ast.stmt) for tree in trees for node in ast.walk(tree))


def measure_shares(layers: list[list[str]]) -> dict[str, float]:
    """Each part's share of the product's statements."""
    counts = Counter({part: count_statements(part) for row in layers for part in row})
    return {part: count / counts.total() for part, count in counts.items()}


def describe_share(share: float) -> str:
    """A share in steps of 5 %."""
    return f"{5 * round(20 * share)} %" if share >= 0.025 else "< 5 %"


def read_purpose(path: Path) -> str:
    """The first line of the docstring of a package or module."""
    module = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))
    return (docstring or "").partition("\n")[0].rstrip(".")


def check_flow(imports: dict[str, set[str]]) -> None:
    """Every arrow of the data must be an import the other way."""
    for (lower, upper), what in FLOW.items():
        if lower not in imports[upper]:
            sys.exit(f"FLOW says {what} go from {lower} to {upper}, but {upper} imports no {lower}")


def build_picture() -> str:
    """The layers, top first, with the imports between neighbours and the way of the data."""
    layers, imports = read_layers(), read_imports()
    check_flow(imports)
    shares, drawn = measure_shares(layers), drop_implied(imports)
    boxes: dict[str, tuple[float, float, float, float]] = {}  # part -> x, y, width, height
    y = 76.0
    for row in layers:
        folders = [part for part in row if (ROOT / part).is_dir()]
        height = TALL if folders else SLIM
        width = (WIDTH - 16 * (len(row) - 1)) / len(row) if folders else 150
        x = LEFT if folders else LEFT + (WIDTH - width) / 2
        for part in row:
            boxes[part] = (x, y, width, height)
            x += width + 16
        y += height + GAP
    subtitle = "Imports point down only. Data flow up: orders, features, forecasts, decisions."
    shapes = [_text(LEFT, 34, "clvcast: layers and data flow", 19, INK, 600),
              _text(LEFT, 56, subtitle, 13, QUIET)]  # fmt: skip
    for upper, lower in sorted((a, b) for a, others in drawn.items() for b in others):
        rows = [next(k for k, row in enumerate(layers) if part in row) for part in (upper, lower)]
        between = layers[rows[0] + 1 : rows[1]]
        if not any((ROOT / part).is_dir() for row in between for part in row):
            shapes.append(_import_arrow(boxes[upper], boxes[lower]))
    for part, box in boxes.items():
        shapes += _draw_box(part, box)
    shapes += _draw_flow(boxes)
    shapes += _draw_shares(layers, boxes, shares)
    across = LEFT + WIDTH + RIGHT
    size = f'width="{across}" height="{y:.0f}" viewBox="0 0 {across} {y:.0f}"'
    arrows = "".join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0 0L8 4L0 8z" fill="{color}"/></marker>'
        for name, color in (("import", LINE), ("data", DATA))
    )
    style = 'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"'
    return "\n".join(
        [f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style} role="img" '
         'aria-label="The layers of clvcast and the way of the data">', f"<defs>{arrows}</defs>",
         '<rect width="100%" height="100%" rx="10" fill="#ffffff"/>', *shapes, "</svg>", ""]
    )  # fmt: skip


def _text(
    x: float, y: float, words: str, size: int, color: str, weight: int = 400, more: str = ""
) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{color}" font-weight="{weight}"{more}>'
        f"{escape(words)}</text>"
    )


def _import_arrow(upper: tuple[float, ...], lower: tuple[float, ...]) -> str:
    """Straight down where the boxes lie over each other, else from middle to middle."""
    left, right = max(upper[0], lower[0]), min(upper[0] + upper[2], lower[0] + lower[2])
    begin = end = (left + right) / 2
    top, bottom = upper[1] + upper[3], lower[1] - 2
    return (
        f'<line x1="{begin:g}" y1="{top:g}" x2="{end:g}" y2="{bottom:g}" stroke="{LINE}" '
        f'stroke-width="1.5" marker-end="url(#import)"/>'
    )


def _draw_box(part: str, box: tuple[float, float, float, float]) -> list[str]:
    x, y, width, height = box
    is_folder = height == TALL
    shapes = [f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" '
              f'fill="{FILL if is_folder else SOFT}" stroke="{LINE}"/>']  # fmt: skip
    if not is_folder:
        middle = ' text-anchor="middle"'
        return [*shapes, _text(x + width / 2, y + 20, f"{part}.py", 13, INK, 600, middle)]
    name = part if (ROOT / part).is_dir() else f"{part}.py"
    lines = textwrap.wrap(read_purpose(ROOT / part), int(width / 6.6))
    if len(lines) == 1:
        return [*shapes, _text(x + 12, y + 24, name, 15, INK, 600),
                _text(x + 12, y + 43, lines[0], 13, QUIET)]  # fmt: skip
    shapes.append(_text(x + 12, y + 18, name, 14, INK, 600))
    lines = [lines[0], textwrap.shorten(" ".join(lines[1:]), int(width / 6.6), placeholder=" ...")]
    return shapes + [
        _text(x + 12, y + 34 + 15 * k, line, 12, QUIET) for k, line in enumerate(lines)
    ]


def _draw_flow(boxes: dict[str, tuple[float, float, float, float]]) -> list[str]:
    shapes = []
    for (lower, upper), what in FLOW.items():
        bottom, top = boxes[lower][1] + 14, boxes[upper][1] + boxes[upper][3] - 14
        x = LEFT - 14
        path = f"M{LEFT} {bottom:g}H{x:g}V{top:g}H{LEFT - 3}"
        shapes.append(_data_path(path))
        shapes.append(
            _text(x - 8, (bottom + top) / 2 + 4, what, 13, DATA, 400, ' text-anchor="end"')
        )
    for part, (sign, what) in OUTSIDE.items():
        beside = [other for other in OUTSIDE if boxes[other][1] == boxes[part][1]]
        shift = 24 * (beside.index(part) - (len(beside) - 1) / 2)
        y = boxes[part][1] + boxes[part][3] / 2 + shift
        path = f"M{LEFT - 30} {y:g}H{LEFT - 3}" if sign == "+" else f"M{LEFT} {y:g}H{LEFT - 30}"
        shapes.append(_data_path(path))
        shapes.append(_text(LEFT - 36, y + 4, what, 13, DATA, 600, ' text-anchor="end"'))
    return shapes


def _data_path(path: str) -> str:
    return (
        f'<path d="{path}" fill="none" stroke="{DATA}" stroke-width="2" marker-end="url(#data)"/>'
    )


def _draw_shares(layers: list[list[str]], boxes: dict[str, tuple[float, ...]],
                 shares: dict[str, float]) -> list[str]:  # fmt: skip
    x = LEFT + WIDTH + 18
    shapes = [_text(x, 56, "share of the code", 13, QUIET)]
    for row in layers:
        folders = [part for part in row if (ROOT / part).is_dir()]
        for k, part in enumerate(folders):
            y = boxes[part][1] + (TALL / 2 if len(folders) == 1 else TALL / 4 + k * TALL / 2)
            width = 16 * max(round(20 * shares[part]), 1)
            label = (f"{part} " if len(folders) > 1 else "") + describe_share(shares[part])
            shapes.append(
                f'<rect x="{x}" y="{y - 6:g}" width="{width}" height="12" rx="2" fill="#5b8fd0"/>'
            )
            shapes.append(_text(x + width + 7, y + 5, label, 13, INK))
    return shapes


def build_table() -> str:
    """Folder, what lives there, its modules, what it imports."""
    layers, imports = read_layers(), read_imports()
    shares = measure_shares(layers)
    lines = [""]
    rows = ["| folder | what lives there | modules |", "|---|---|---|"]
    for part in [name for row in layers for name in row]:
        if not (ROOT / part).is_dir():
            rows.append(f"| `{part}.py` | {read_purpose(ROOT / part)} | |")
            continue
        for folder in find_folders(ROOT / part):
            name = folder.relative_to(ROOT).as_posix()
            modules = ", ".join(sorted(m.stem for m in folder.glob("*.py") if m.stem != "__init__"))
            bold = f"**{name}** ({describe_share(shares[part])})" if folder == ROOT / part else name
            rows.append(f"| {bold} | {read_purpose(folder)} | {modules} |")
    for part in [name for row in layers for name in row if imports.get(name)]:
        lines.append(f"- `{part}` imports {', '.join(sorted(imports[part]))}")
    return "\n".join([*rows, *lines, ""])


def build_page() -> str:
    """The page with its generated part made anew."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{build_table()}\n{END}{after}"


def main() -> None:
    """Write picture and page, or say whether they are current."""
    made = {PICTURE: build_picture(), PAGE: build_page()}
    if "--check" not in sys.argv[1:]:
        for path, text in made.items():
            path.write_text(text, encoding="utf-8")
        return
    stale = [path.name for path, text in made.items()
             if not path.is_file() or path.read_text(encoding="utf-8") != text]  # fmt: skip
    if stale:
        verb = "differs" if len(stale) == 1 else "differ"
        names = " and ".join(stale)
        sys.exit(f"{names} {verb} from the code; run: python docs/draw_architecture.py")


if __name__ == "__main__":
    main()
