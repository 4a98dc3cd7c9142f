"""Print what a test run covered, a line per top-level folder; `make coverage` runs the tests first.

Compiled (numba) functions count as not covered: Python never runs their lines.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import coverage

ROOT = Path(__file__).resolve().parents[1]


def count_statements(measured: coverage.Coverage) -> tuple[Counter[str], Counter[str]]:
    """Statements, and those that no test ran, per top-level folder; root modules are "."."""
    statements: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    for name in measured.get_data().measured_files():
        _, lines, _, missed, _ = measured.analysis2(name)
        folder = Path(name).resolve().relative_to(ROOT).parts[:-1]
        statements[folder[0] if folder else "."] += len(lines)
        missing[folder[0] if folder else "."] += len(missed)
    return statements, missing


def format_table(statements: Counter[str], missing: Counter[str]) -> str:
    """The table, and the total as its last line."""
    rows = [(folder, statements[folder], missing[folder]) for folder in sorted(statements)]
    rows.append(("total", statements.total(), missing.total()))
    lines = [f"{'folder':<12}{'statements':>12}{'missing':>10}{'covered':>10}"]
    for folder, total, missed in rows:
        lines.append(f"{folder:<12}{total:>12,}{missed:>10,}{1 - missed / total:>10.1%}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    measured = coverage.Coverage()
    measured.load()
    sys.stdout.write(format_table(*count_statements(measured)))
