"""Compiled code: announced when it is made, kept for the next process, wherever there is room for
it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from terminal import run_in_terminal

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
import clvcast
from clvcast.commands.console import announce_compilation
assert clvcast.__file__.startswith(sys.argv[1])
announce_compilation(silent=False)
clvcast.read_orders(sys.argv[2])
"""


def read_in_terminal(package: Path, orders: Path, home: Path) -> str:
    """What a process that reads orders says when its stderr is a terminal."""
    environment = {
        k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "PYTHONPATH")
    }
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    command = [sys.executable, "-c", SCRIPT, str(package), str(orders)]
    status, said = run_in_terminal(command, environment)
    assert status == 0, said
    return said


@pytest.mark.slow
def test_a_package_that_cannot_be_written_is_compiled_once_and_says_so(
    root: Path, tmp_path: Path
) -> None:
    package = tmp_path / "package"
    (package / "clvcast").mkdir(parents=True)
    for name in (
        "__init__.py",
        "__main__.py",
        "atomic_files.py",
        "errors.py",
        "commands",
        "configs",
    ):
        (package / "clvcast" / name).symlink_to(root / name)
    for source in [*(root / "orders").rglob("*.py"), *(root / "features").rglob("*.py")]:
        copy = package / "clvcast" / source.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(source.read_bytes())
        # no folder of compiled code can be made here, for root neither
        (copy.parent / "__pycache__").write_text("a file in its place")
    orders = tmp_path / "orders.csv"
    orders.write_text("customer_id,ordered_at,amount\na,2020-01-01,1\n", encoding="utf-8")
    first = read_in_terminal(package, orders, tmp_path)
    assert first.count("compiling") == 1
    assert "compiling" not in read_in_terminal(package, orders, tmp_path)
    assert list((tmp_path / "cache").rglob("*.nbi"))
