"""Only orders/windows.py decides what is known when: no other module compares order times."""

from __future__ import annotations

from pathlib import Path

import pytest
from leakage_guard import find_comparisons

ALLOWED = {
    ("orders/windows.py", "is_before"): "the observation window",
    ("orders/windows.py", "_fill_positions"): "the windows of each customer",
    ("orders/windows.py", "find_slots"): "which of several windows an instant is in",
    ("orders/windows.py", "find_implausible"): "lines dated before 1970 or in the future",
    ("orders/reading/line_sorting.py", "_find_runs"): "which lines are in order already",
    ("orders/reading/line_sorting.py", "_order_as_integers"): "bits of quantities and prices",
    ("features/kernel/order_features.py", "_find_month"): "the month of one instant: 1 to 12",
    ("features/kernel/order_features.py", "_fill_calendar"): "the hour of the day of one instant",
    ("decisions/kpis.py", "build_triangles"): "hides months that have not ended",
    ("decisions/customer_base.py", "CustomerBase.known_since"): "lengths of a past history",
    ("decisions/ltv_at_age.py", "compute_age_values"): "days that a forecast reaches",
    ("orders/windows.py", "is_between"): "the days that two exports both cover",
    (
        "discovery/horizon.py",
        "choose_horizon",
    ): "lengths of time, before any training",
    ("discovery/checks/shop_summary.py", "_describe_age"): "days from the newest order to today",
}


def test_no_other_module_compares_the_times_of_orders(root: Path) -> None:
    modules = [*root.glob("*.py")]
    for part in root.glob("*/__init__.py"):
        modules += part.parent.rglob("*.py")
    assert len(modules) > 150
    found = {
        (module.relative_to(root).as_posix(), place.function): f"line {place.line}: {place.source}"
        for module in modules
        for place in find_comparisons(module.read_text(encoding="utf-8"))
    }
    assert {place: found[place] for place in found.keys() - ALLOWED.keys()} == {}
    assert ALLOWED.keys() - found.keys() == set(), "no longer needed in ALLOWED"


LEAKS = {
    "attribute": "observed = orders.times < cutoff",
    "each operator": "observed = orders.times <= cutoff",
    "reversed operands": "observed = cutoff > orders.times",
    "reversed, later": "later = cutoff <= orders.times",
    "slice": "observed = orders.times[:] <= cutoff",
    "index": "observed = orders.times[first] < cutoff",
    "chain": "inside = begin <= orders.times < end",
    "second of a chain": "inside = 0 <= customer < order_times",
    "column": "observed = table[table['time'] < cutoff]",
    "column of an attribute": "observed = table[table.ordered_at >= cutoff]",
    "dated fact": "known = attributes.valid_from < cutoff",
    "name": "if time_us > cutoff: pass",
    "alias": "moments = orders.times\nobserved = moments < cutoff",
    "alias of an alias": "a = orders.times\nb = a[1:]\nobserved = b < cutoff",
    "alias in a tuple": "owner, moment = owners, orders.times\nobserved = moment < cutoff",
    "alias on self": "self.moments = orders.times\nobserved = self.moments < cutoff",
    "alias by a walrus": "if (newest := orders.times.max()) and newest < cutoff: pass",
    "loop variable": "for moment in orders.times.tolist():\n    if moment < cutoff: pass",
    "zip": "for owner, moment in zip(owners, orders.times):\n    if moment < cutoff: pass",
    "enumerate": "for line, moment in enumerate(orders.times):\n    if moment < cutoff: pass",
    "comprehension": "observed = [moment for moment in orders.times if moment < cutoff]",
    "outer alias": "moments = orders.times\ndef keep(cutoff):\n    return moments < cutoff",
    "parameter": "def keep(m, end):\n    return m < end\nkeep(orders.times, cutoff)",
    "keyword": "def keep(end, m):\n    return m < end\nkeep(cutoff, m=orders.times)",
    "difference": "observed = (cutoff - orders.times) > 0",
    "alias of a difference": "age = cutoff - orders.times\nrecent = age <= year",
    "days": "days = orders.times // DAY\nobserved = days < today",
    "months": "month = dates.to_months(entries.times)\nrecent = month >= newest",
    "another type": "observed = orders.times.view('datetime64[us]') < cutoff",
    "conversion": "observed = np.asarray(orders.times) < cutoff",
    "getattr": "observed = getattr(orders, 'times') < cutoff",
    "numpy less": "observed = np.less(orders.times, cutoff)",
    "numpy greater_equal": "later = np.greater_equal(orders.times, cutoff)",
    "numpy reversed": "observed = np.greater(cutoff, orders.times)",
    "searchsorted": "position = np.searchsorted(orders.times, cutoff)",
    "searchsorted reversed": "slot = np.searchsorted(bounds, orders.times)",
    "searchsorted method": "position = orders.times.searchsorted(cutoff)",
    "digitize": "slot = np.digitize(orders.times, bounds)",
    "bisect": "position = bisect.bisect_left(orders.times, cutoff)",
    "between": "inside = frame['ordered_at'].between(begin, end)",
    "lt": "observed = frame['ordered_at'].lt(cutoff)",
    "arrow": "observed = pc.less(table.column('ordered_at'), cutoff)",
    "polars": "observed = lines.filter(pl.col('ordered_at') < cutoff)",
    "slice up to a cutoff": "observed = frame.loc[:cutoff]",
    "slice from a date": "later = frame.loc['2020-01-01':]",
    "slice up to a time": "observed = lines[: orders.times[3]]",
    "truncate": "observed = frame['ordered_at'].truncate(after=cutoff)",
    "query": "observed = frame.query('ordered_at < @cutoff')",
    "query reversed": "observed = frame.query('@cutoff > ordered_at')",
    "SQL": "connection.execute('select * from t where \"ordered_at\" >= ?')",
    "method": "class A:\n    def keep(self):\n        return self.times < self.cutoff",
    "nested function": "def f():\n    def g(orders):\n        return orders.times < 3",
    "lambda": "keep = lambda orders: orders.times < cutoff",
}


@pytest.mark.parametrize("source", LEAKS.values(), ids=LEAKS.keys())
def test_a_planted_leak_is_found(source: str) -> None:
    assert len(find_comparisons(source)) == 1


NO_LEAKS = {
    "asked of windows": "observed = windows.is_before(orders.times, cutoff)",
    "equality": "same = orders.times[1:] == orders.times[:-1]",
    "positions": "lines = orders.times[starts[0] : starts[1]]",
    "other numbers": "large = orders.amounts > 100",
    "a count": "if n_times > 3: pass",
    "newest": "newest = int(orders.times.max())",
    "another function's name": "def f(m): pass\ndef g(m): return m < 3\nf(orders.times)",
    "a search for something else": "slot = np.searchsorted(edges, spend)",
    "in words": '"""Lines with times < cutoff."""  # times < cutoff',
}


@pytest.mark.parametrize("source", NO_LEAKS.values(), ids=NO_LEAKS.keys())
def test_what_compares_no_times_is_left_alone(source: str) -> None:
    assert find_comparisons(source) == []


def test_a_comparison_is_named_by_its_function_and_line() -> None:
    source = "class Rows:\n    def keep(self):\n        return self.times < 3"
    (place,) = find_comparisons(source)
    assert (place.function, place.line, place.source) == ("Rows.keep", 3, "self.times < 3")
