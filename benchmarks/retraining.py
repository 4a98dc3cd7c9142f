"""How often the gate and the monitor raise false alarms: healthy shops, retrained every month.

Every shop is healthy: customers order by a gamma-Poisson process with dropout, some shops with a
strong yearly season, some growing. A model is trained each month on what was known, judged against
the one that serves (the last that passed), and its forecasts are watched: for drift before they
mature, and for what came true after. Whatever is refused or alarmed here is a false alarm, but for
what a season that history has not shown does to any forecast. Nothing is stored; the gate's own
functions are called.

    python benchmarks/retraining.py --customers 300 --shops 6 --months 12
"""

from __future__ import annotations

import argparse
import collections
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

import clvcast
from clvcast.configs.schema import OrdersConfig, TrackingConfig
from clvcast.evaluation.monitoring import monitor
from clvcast.models.model import TrainedModel
from clvcast.orders import dates, windows
from clvcast.orders.cutoffs import get_default_cutoff, get_newest_realised_cutoff
from clvcast.orders.orders import Orders
from clvcast.orders.reading.read_orders import read_table
from clvcast.train.gate.data_shift import Champion, build_record
from clvcast.train.gate.evidence_collection import collect_evidence
from clvcast.train.gate.rules import judge
from clvcast.train.run import train_and_evaluate

FIRST = pd.Timestamp("2022-01-01")
KINDS = {
    # name: (strength of the December peak, customers won per day at the end for each at the start)
    "steady": (0.0, 1.0),
    "seasonal": (0.5, 1.0),
    "growing": (0.2, 3.0),
}


def shop(customers: int, kind: str, seed: int, days: int) -> pd.DataFrame:
    """Order lines of a healthy shop of about `customers` customers in all."""
    season, growth = KINDS[kind]
    random = np.random.default_rng(seed)
    share = random.random(customers)
    # arrivals at a rate that grows linearly from 1 to `growth`
    begin = share if growth == 1 else (np.sqrt(1 + share * (growth**2 - 1)) - 1) / (growth - 1)
    begin = begin * days
    end = np.minimum(begin + random.exponential(400.0, customers), days)
    rate = random.gamma(1.2, 1 / 1.2, customers) / 45.0  # orders a day
    level = random.lognormal(3.0, 0.8, customers)
    orders = random.poisson(rate * (end - begin) * (1 + season))
    who = np.concatenate((np.arange(customers), np.repeat(np.arange(customers), orders)))
    day = begin[who] + random.random(len(who)) * (end - begin)[who]
    day[:customers] = begin
    # thinned to a year that peaks in December; first orders stay
    wave = 1 + season * np.cos(2 * np.pi * (day - 350) / 365.25)
    kept = random.random(len(who)) < wave / (1 + season)
    kept[:customers] = True
    who, day = who[kept], day[kept]
    lines = np.repeat(np.arange(len(who)), 1 + random.poisson(1.0, len(who)))
    back = random.random(len(who)) < 0.02
    amount = level[who[lines]] * random.lognormal(0.0, 0.4, len(lines))
    table = pd.DataFrame(
        {
            "customer_id": np.char.add("C", who[lines].astype(str)),
            "ordered_at": FIRST + pd.to_timedelta((day[lines] * 1440).astype(int), unit="min"),
            "amount": np.where(back[lines], -1, 1) * np.maximum(np.round(amount, 2), 0.01),
            "order_id": lines.astype(str),
            "product_id": np.char.add("P", random.integers(0, 40, len(lines)).astype(str)),
            "channel": np.where(random.random(len(lines)) < 0.7, "web", "shop"),
        }
    )
    return table.sort_values("ordered_at", kind="stable").reset_index(drop=True)


@dataclass(frozen=True)
class Retraining:
    """What one month brought: rules that failed, alarms raised."""

    cutoff: str
    failed: tuple[str, ...]
    sentences: tuple[str, ...]
    drift: tuple[str, ...]  # alarms on forecasts a month after the training
    matured: tuple[str, ...]  # alarms on forecasts whose window is over


def retrained(orders: Orders, config: clvcast.Config, months: int) -> Iterator[Retraining]:
    """Monthly trainings that end with the orders, oldest first; each is judged, and promoted if it
    passes.
    """
    champion: Champion | None = None
    waiting: list[tuple[int, TrainedModel, pd.DataFrame]] = []
    newest = get_default_cutoff(orders)
    for month in range(months):
        end = newest - (months - 1 - month) * 30 * dates.DAY
        known = windows.slice_observed(orders, end)
        drift: list[str] = []
        if champion is not None and champion.model is not None:
            forecast = clvcast.score(champion.model, known, dates.format_instant(end))
            waiting.append((end, champion.model, forecast))
            drift = _alarms(forecast, known, champion.model, config)
        matured = []
        for at, model, forecast in list(waiting):
            if at <= get_newest_realised_cutoff(end, config.horizon_days):
                matured += _alarms(forecast, known, model, config)
                waiting.remove((at, model, forecast))
        run = train_and_evaluate(orders, config, dates.format_instant(end))
        verdict = judge(collect_evidence(run, config, champion), config.gate)
        failed = [rule for rule in verdict.rules if rule.verdict == "fail"]
        if verdict.passed:
            number = str(int(champion.version) + 1 if champion else 1)
            champion = Champion(number, run.model, build_record(run))
        yield Retraining(
            dates.format_instant(end),
            tuple(rule.name for rule in failed),
            tuple(rule.sentence for rule in failed),
            tuple(drift),
            tuple(matured),
        )


def _alarms(
    forecast: pd.DataFrame, known: Orders, model: TrainedModel, config: clvcast.Config
) -> list[str]:
    found = monitor(forecast, known, model, config).findings
    return [f"{f.name.partition(' of ')[0]}: {f.sentence}" for f in found if f.severity == "alarm"]


def main() -> None:
    """Print a line per retraining, and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=300)
    parser.add_argument("--shops", type=int, default=6, help="taking the kinds in turn")
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--days", type=int, default=900)
    parser.add_argument("--effort", default="quick")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    config = clvcast.Config(
        horizon_days=90,
        periods=2,
        effort=arguments.effort,
        tracking=TrackingConfig(evaluated_cutoffs=1),
    )
    counts: collections.Counter[str] = collections.Counter()
    began, runs, refused, watched = time.process_time(), 0, 0, collections.Counter[str]()
    for k in range(arguments.shops):
        kind = list(KINDS)[k % len(KINDS)]
        lines = shop(arguments.customers, kind, arguments.seed + k, arguments.days)
        orders = read_table(lines, OrdersConfig())
        for one in retrained(orders, config, arguments.months):
            runs += 1
            refused += bool(one.failed)
            counts.update(f"gate {name}" for name in one.failed)
            for when in ("drift", "matured"):
                alarms = getattr(one, when)
                watched[when] += bool(alarms)
                counts.update(f"{when} {alarm.partition(':')[0]}" for alarm in alarms)
            told = [*one.sentences, *one.drift, *one.matured]
            print(
                f"{kind:9} {k} {one.cutoff} {'refused' if one.failed else 'passed '}",
                *told,
                sep=" | ",
                flush=True,
            )
    print(f"\n{arguments}")
    print(f"{runs} retrainings, {refused} refused, months with an alarm: {dict(watched)}")
    for name, count in counts.most_common():
        print(f"{count:5} {name}")
    print(f"{time.process_time() - began:.0f} CPU s")


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main()
