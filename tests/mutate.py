"""Plant small changes in the code that decides, and count those the fast tests catch.

    python tests/mutate.py --sample 300 --seed 0 [--only evaluation]

A change is made in a copy of the repository. The tests that run are those whose file imports the
changed module, directly or through one other module, nearest first. A change that no test catches
is printed at the end: it needs a test, or the code it is in is not needed.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("decisions", "evaluation", "train/gate")
LONGEST_SECONDS = 900  # of one run of tests
NO_TESTS = 5  # pytest's exit status where every test is a slow one
FARTHEST = 2  # imports between a test file and the changed module

COMPARISONS = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"), ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"),
}  # fmt: skip # pairs side by side
ARITHMETIC = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "/"), ast.Mod: ("%", "*"), ast.Pow: ("**", "*"),
}  # fmt: skip # pairs side by side


@dataclass(frozen=True)
class Change:
    """Characters `start:stop` of a file become `text`."""

    path: Path  # below the root
    start: int
    stop: int
    text: str
    line: int

    def apply(self, source: str) -> str:
        """The changed source."""
        return source[: self.start] + self.text + source[self.stop :]

    def describe(self, source: str) -> str:
        """Place, old text and new text."""
        old = " ".join(source[self.start : self.stop].split())
        where = source.splitlines()[self.line - 1].strip()
        return f"{self.path}:{self.line}: {old} -> {self.text}    in: {where}"


def list_changes(path: Path, source: str) -> list[Change]:
    """Every change that can be planted in a module, in the order of the file."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def locate(line: int, byte: int) -> int:
        """The position of a character from its line and the byte in it, as `ast` counts."""
        text = source[starts[line - 1] : starts[line]]
        return starts[line - 1] + len(text.encode()[:byte].decode())

    found = []
    for node in _walk_code(ast.parse(source)):
        for begin, end, text in _plan_changes(node):
            start, stop = locate(*begin), locate(*end)
            if isinstance(text, tuple):  # an operator, somewhere between its operands
                old, new = text
                match = re.search(rf"(?<!\S){re.escape(old)}(?!\S)", source[start:stop])
                if match is None:
                    continue
                start, stop, text = start + match.start(), start + match.end(), new
            found.append(Change(path, start, stop, text, source.count("\n", 0, start) + 1))
    return sorted(found, key=lambda change: (change.start, change.stop))


def _walk_code(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those of annotations and of imports for type checkers."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _walk_code(child)


Place = tuple[int, int]


def _plan_changes(node: ast.AST) -> Iterator[tuple[Place, Place, str | tuple[str, str]]]:
    """Where a node is changed, and into what: a text, or an operator's pair of old and new."""
    if isinstance(node, ast.Compare):
        operands = [node.left, *node.comparators]
        for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
            yield _end(left), _begin(right), COMPARISONS[type(operator)]
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        if not any(isinstance(side, ast.JoinedStr | ast.List) for side in (node.left, node.right)):
            yield _end(node.left), _begin(node.right), ARITHMETIC[type(node.op)]
    elif isinstance(node, ast.BoolOp):
        pair = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        yield _end(node.values[0]), _begin(node.values[1]), pair
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield _begin(node), _begin(node.operand), ""
    elif isinstance(node, ast.Return) and node.value and ast.unparse(node.value) != "None":
        yield _begin(node.value), _end(node.value), "None"
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        for number in _change_number(node.value):
            yield _begin(node), _end(node), repr(number)


def _change_number(value: object) -> list[int] | list[float]:
    """A number a fifth lower and a fifth higher; small integers by one."""
    if isinstance(value, int):
        step = max(1, round(abs(value) / 5))
        return [value - step, value + step]
    assert isinstance(value, float)
    return [value * 0.8, value * 1.2] if value else [-1.0, 1.0]


def _begin(node: ast.expr) -> Place:
    return node.lineno, node.col_offset


def _end(node: ast.expr) -> Place:
    return node.end_lineno or node.lineno, node.end_col_offset or 0


def name_module(path: Path) -> str:
    """The dotted name of a file below the root."""
    return ".".join(("clvcast", *path.with_suffix("").parts)).removesuffix(".__init__")


def read_imports(path: Path, public: dict[str, str]) -> set[str]:
    """Modules of the package that a file imports; `clvcast.score` counts as where it lives."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    package = name_module(path).split(".")
    package = package if path.name == "__init__.py" else package[:-1]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "clvcast":
            found.add(public.get(node.attr, ""))
    return found


def choose_tests() -> dict[str, list[str]]:
    """Module -> its doctests, and the test files that reach it over few imports, nearest first."""
    public = dict(re.findall(r'"(\w+)": "(clvcast[\w.]+)"', (ROOT / "__init__.py").read_text()))
    public["train"] = "clvcast.train.run"
    parts = [path.parent for path in ROOT.glob("*/__init__.py")]
    modules = [path.relative_to(ROOT) for part in parts for path in part.rglob("*.py")]
    imports = {name_module(path): read_imports(path, public) for path in modules}
    chosen: dict[str, list[tuple[int, str]]] = {name: [] for name in imports}
    for test in sorted((ROOT / "tests").glob("test_*.py")):
        path = test.relative_to(ROOT)
        reached: dict[str, int] = {}
        nearest = read_imports(path, public) & imports.keys()
        for distance in range(1, FARTHEST + 1):
            reached |= dict.fromkeys(nearest - reached.keys(), distance)
            nearest = {far for name in nearest for far in imports[name] & imports.keys()}
        for name, distance in reached.items():
            chosen[name].append((distance, str(path)))
    doctests = "tests/test_documents.py::test_doctests[{}]"
    return {
        name: [doctests.format(name), *(test for _, test in sorted(tests))]
        for name, tests in chosen.items()
    }


def copy_repository(folder: Path) -> Path:
    """A copy to change, with the links that make it importable; compiled code comes along."""
    left_out = shutil.ignore_patterns(".git", ".venv", ".*_cache", "mlruns", "mlartifacts", "*.db")
    copy = folder / "clvcast"
    shutil.copytree(ROOT, copy, symlinks=True, ignore=left_out)
    if not (copy / "build" / "editable" / "clvcast" / "__init__.py").exists():
        raise SystemExit("build/editable is missing: run make check first")
    return copy


def run_tests(copy: Path, tests: list[str]) -> bool:
    """Whether the tests pass; one that never ends has failed."""
    environment = os.environ | {
        "PYTHONPATH": str(copy / "build" / "editable"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not slow"]
    command += ["-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command,
            cwd=copy,
            env=environment,
            check=False,
            capture_output=True,
            timeout=LONGEST_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode in (0, NO_TESTS)


def main() -> None:
    """Plant a sample of changes and print the score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, default=300, help="how many changes (300)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (0)")
    parser.add_argument("--only", default="", help="a folder or file, such as evaluation")
    arguments = parser.parse_args()
    paths = [path.relative_to(ROOT) for name in FOLDERS for path in (ROOT / name).rglob("*.py")]
    paths = [path for path in sorted(paths) if str(path).startswith(arguments.only)]
    sources = {path: (ROOT / path).read_text(encoding="utf-8") for path in paths}
    changes = [change for path in paths for change in list_changes(path, sources[path])]
    size = min(arguments.sample, len(changes))
    sample = random.Random(arguments.seed).sample(changes, size)
    tests = choose_tests()
    survivors = []
    with tempfile.TemporaryDirectory() as folder:
        copy = copy_repository(Path(folder))
        used = sorted({test for change in sample for test in tests[name_module(change.path)]})
        print(f"{size} of {len(changes)} changes; first the tests without any", flush=True)
        if not run_tests(copy, used):
            raise SystemExit("the tests fail without a change: run make test")
        for number, change in enumerate(sample, 1):
            source, file = sources[change.path], copy / change.path
            times = file.stat()
            began = time.monotonic()
            file.write_text(change.apply(source), encoding="utf-8")
            survived = run_tests(copy, tests[name_module(change.path)])
            file.write_text(source, encoding="utf-8")
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
            if survived:
                survivors.append(change.describe(source))
            verdict = "SURVIVED" if survived else "caught"
            seconds = time.monotonic() - began
            print(f"{number:4} {verdict:8} {seconds:4.0f} s  {change.describe(source)}", flush=True)
    print(f"\n{size - len(survivors)} of {size} caught ({1 - len(survivors) / max(size, 1):.0%})")
    print("".join(f"survived: {survivor}\n" for survivor in survivors), end="")


if __name__ == "__main__":
    main()
