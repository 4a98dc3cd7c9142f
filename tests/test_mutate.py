"""The planting of changes: what is changed in a line of code, and which tests are to see it."""

from __future__ import annotations

from pathlib import Path

import pytest
from mutate import choose_tests, list_changes


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("if a <= b: pass", {"if a < b: pass"}),
        ("a = b < c < d", {"a = b <= c < d", "a = b < c <= d"}),
        ("a = b is not None", {"a = b is None"}),
        ("a = b not in c", {"a = b in c"}),
        ("a = not b", {"a = b"}),
        ("a = b and c", {"a = b or c"}),
        ("a = (b) - (c)", {"a = (b) + (c)"}),
        ("a = b // c", {"a = b / c"}),
        ("a = 3", {"a = 2", "a = 4"}),
        ("a = 100", {"a = 80", "a = 120"}),
        ("a = 0.5", {"a = 0.4", "a = 0.6"}),
        ("a = 0.0", {"a = -1.0", "a = 1.0"}),
        ("def f(): return b(c)", {"def f(): return None"}),
        ("é = 'é' ; a = b > c", {"é = 'é' ; a = b >= c"}),
        ("a: Literal[3] | None = b", set()),
        ("def f(a: int | None = None) -> Literal[3]: return None", set()),
        ("if TYPE_CHECKING:\n    a = 3", set()),
        ("a = True", set()),
        ("a = f'{b}' + c", set()),
    ],
)
def test_changes_of_a_line(source: str, changed: set[str]) -> None:
    changes = list_changes(Path("a.py"), source)
    assert {change.apply(source) for change in changes} == changed
    assert all("a.py:" in change.describe(source) for change in changes)


@pytest.mark.slow
def test_tests_are_chosen_by_their_imports() -> None:
    chosen = choose_tests()
    nearest, *others = chosen["clvcast.evaluation.scorecard"]
    assert nearest == "tests/test_documents.py::test_doctests[clvcast.evaluation.scorecard]"
    assert "tests/test_scorecard.py" in others[:3]  # those at the same distance are sorted by name
    assert "tests/test_rest.py" not in others
    assert "tests/test_kpis.py" in chosen["clvcast.decisions.period_counts"]
