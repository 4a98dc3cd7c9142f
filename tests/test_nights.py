"""Simulated nights and the simulated gate: a few of what `make benchmark-nights` and
`make benchmark-gate` measure.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

import gate
import nights

import clvcast


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_five_nights_a_broken_feed_a_currency_slip_and_a_schema_change(tmp_path: Path) -> None:
    quiet, broken, slip, schema, late = nights.run_nights(tmp_path, [5, 6, 9, 15, 16], seed=1)
    assert (quiet.verdict, late.verdict) == ("quiet", "quiet"), (quiet, late)
    assert quiet.status in (0, 1)
    for night in (broken, slip, schema):
        assert night.verdict == "alarm names the cause", night
        # the forecasts of the night before stay, and the champion
        assert (night.total, night.champion) == (quiet.total, quiet.champion)
    assert late.total != quiet.total
    model = clvcast.load_model("models:/clv@champion", f"sqlite:///{tmp_path}/mlflow.db")
    assert model.registered is not None
    assert model.registered.number == late.champion


@pytest.mark.slow
def test_the_gate_tells_better_candidates_from_worse_ones_and_lets_no_broken_feed_pass() -> None:
    found = list(gate.simulate(30, sizes=(3_000,)))
    judged = {truth: [p for _, t, p in found if t == truth] for truth in ("better", "worse")}
    assert min(map(len, judged.values())) >= 5
    assert judged["better"].count(False) <= 1
    assert judged["worse"].count(True) <= 1
    assert not any(gate.judge_feed(seed) for seed in range(200))
