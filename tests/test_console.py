"""The console: what bars say while long work goes on."""

from __future__ import annotations

from rich.progress import Progress

from clvcast.commands.console import _Rate


def test_a_bar_tells_how_many_a_second_and_stays_as_it_ended() -> None:
    now = 0.0
    bars = Progress(_Rate(), get_time=lambda: now, disable=True)

    def told() -> str:
        return _Rate().render(bars.tasks[0]).plain

    task = bars.add_task("customers", total=1.0, first=100, count=100)
    assert told() == "100"
    now = 10.0
    bars.update(task, completed=0.5, count=1_100)
    assert told() == "1,100, 100/s"
    now = 20.0
    bars.update(task, completed=1.0, count=2_100)
    now = 500.0
    assert told() == "2,100, 100/s"


def test_what_takes_seconds_each_has_no_rate() -> None:
    now = 0.0
    bars = Progress(_Rate(), get_time=lambda: now, disable=True)
    task = bars.add_task("cutoffs", total=1.0, first=0, count=0)
    now = 10.0
    bars.update(task, completed=0.25, count=1)
    assert _Rate().render(bars.tasks[0]).plain == "1"
