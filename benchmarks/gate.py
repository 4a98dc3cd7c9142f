"""How often the gate refuses a better candidate, passes a worse one, or passes a broken feed.

make benchmark-gate writes results/gate.md. A world's result is kept in build/benchmark-gate by a
digest of the sources it depends on: interrupted runs resume.

Forecasts of known quality are simulated, not trained: a customer's true mean, with noise of a known
size. Champion and candidate share a part of their noise, as two models of one shop do. What is
better is decided on a fresh sample of 200,000 customers of the same world: at least 3 % less
deviance (totals levelled) or 0.01 more nGini, and no loss in the other. The gate then sees a shop
of the stated number of customers and calls its own functions.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from clvcast.configs.schema import GateConfig
from clvcast.evaluation import measures, standard_measures
from clvcast.evaluation.bootstrap import bootstrap_bias
from clvcast.orders.columns import Float64
from clvcast.train.gate.evidence import CHAMPION, DataShift, Evidence
from clvcast.train.gate.evidence_collection import compare_with_rival
from clvcast.train.gate.rules import judge

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "gate.md"
KEPT = ROOT / "build" / "benchmark-gate"
SOURCES = ("benchmarks/gate.py", "configs/gate.py", "evaluation", "train/gate")
CUSTOMERS = (300, 1_000, 3_000, 10_000)
FRESH = 200_000
SHARED = 0.8  # correlation of the two models' noise
DEVIANCE, NGINI = 0.03, 0.01  # differences that count
BOUNDS = GateConfig()


@dataclass(frozen=True)
class World:
    """A shop: how unequal its customers are, who orders at all, and the noise of its models."""

    spread: float  # of the logarithm of customers' means
    active: float  # share that orders in the window
    champion: float  # noise of the logarithm of its forecasts
    candidate: float
    season: float  # what moved everybody in the window, and no model foresaw

    def draw(
        self, n: int, random: np.random.Generator
    ) -> tuple[Float64, Float64, Float64, Float64]:
        """Actual spend, and the forecasts of candidate, champion and a baseline."""
        mean = np.exp(random.normal(0.0, self.spread, n))
        activity = np.clip(self.active * np.exp(0.4 * np.log(mean)), 0.02, 0.95)
        spends = random.random(n) < activity
        actual = np.where(spends, random.gamma(1.5, 1 / 1.5, n) * mean / activity, 0.0)
        common, own, other, third = random.normal(0.0, 1.0, (4, n))
        shared, apart = np.sqrt(SHARED), np.sqrt(1 - SHARED)
        candidate = mean * np.exp(self.candidate * (shared * common + apart * own))
        champion = mean * np.exp(self.champion * (shared * common + apart * other))
        baseline = mean * np.exp(1.2 * self.champion * third)
        return actual * self.season, candidate, champion, baseline


def draw_world(seed: int) -> World:
    """A random world; the candidate's noise is up to 60 % less or more than the champion's."""
    random = np.random.default_rng(seed)
    noise = random.uniform(0.3, 0.9)
    return World(
        spread=random.uniform(0.8, 1.4),
        active=random.uniform(0.2, 0.6),
        champion=noise,
        candidate=noise * random.uniform(0.4, 1.6),
        season=float(np.exp(random.normal(0.0, 0.1))),
    )


def compare_in_truth(world: World, seed: int) -> str:
    """Whether the candidate is better, worse, or neither, on a fresh sample."""
    actual, ours, theirs, _ = world.draw(FRESH, np.random.default_rng((seed, 1)))
    losses = [
        standard_measures.compute_levelled_deviances(f, actual).mean() for f in (ours, theirs)
    ]
    deviance = losses[0] / losses[1] - 1
    ngini = measures.normalised_gini(ours, actual) - measures.normalised_gini(theirs, actual)
    if (deviance <= -DEVIANCE or ngini >= NGINI) and deviance <= 0 <= ngini:
        return "better"
    if (deviance >= DEVIANCE or ngini <= -NGINI) and deviance >= 0 >= ngini:
        return "worse"
    return "tie"


def judge_candidate(world: World, customers: int, seed: int) -> bool:
    """Whether the gate lets the candidate pass, in a shop of so many customers."""
    actual, ours, theirs, baseline = world.draw(customers, np.random.default_rng((seed, 2)))
    evidence = Evidence(
        evaluated="2026-01-01",
        bias=bootstrap_bias(ours, actual, BOUNDS.confidence),
        contests=(
            compare_with_rival(CHAMPION, ours, theirs, actual, BOUNDS.confidence),
            compare_with_rival("baseline", ours, baseline, actual, BOUNDS.confidence),
        ),
        champion="1",
    )
    return judge(evidence, BOUNDS).passed


def judge_feed(seed: int) -> bool:
    """Whether a candidate that is good by every measure passes with a broken feed.

    Months that the champion knew have lost or gained 6 % to 60 % of their lines, or their amounts
    are in another unit.
    """
    random = np.random.default_rng((seed, 3))
    share = random.uniform(0.06, 0.6)
    faults = (
        DataShift(lines=1 - share, money=1 - share),
        DataShift(lines=1 + share, money=1 + share),
        DataShift(lines=1.0, money=float(random.choice([0.01, 0.1, 10.0, 100.0]))),
        DataShift(lines=1 - share, money=1 - share, customers=1 - share),
    )
    feed = faults[int(random.integers(len(faults)))]
    good = Evidence(evaluated="2026-01-01", champion="1", feed=feed)
    return judge(good, BOUNDS).passed


def simulate(shops: int, sizes: tuple[int, ...] = CUSTOMERS) -> Iterator[tuple[int, str, bool]]:
    """Per shop: its customers, what the candidate is in truth, and whether it passed."""
    for seed in range(shops):
        yield from simulate_world(seed, sizes)


def simulate_world(seed: int, sizes: tuple[int, ...] = CUSTOMERS) -> list[tuple[int, str, bool]]:
    """The same of one world, at each size."""
    world = draw_world(seed)
    truth = compare_in_truth(world, seed)
    return [(customers, truth, judge_candidate(world, customers, seed)) for customers in sizes]


def simulate_kept(shops: int) -> Iterator[tuple[int, str, bool]]:
    """As `simulate`; worlds that were simulated before are read, the others are kept."""
    digest = hashlib.sha256(version("numpy").encode())
    for source in SOURCES:
        path = ROOT / source
        for module in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            digest.update(module.read_bytes())
    kept = KEPT / f"{digest.hexdigest()[:12]}.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    lines = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
    known: dict[int, Any] = dict(map(json.loads, filter(_is_whole, lines)))
    with kept.open("a", encoding="utf-8") as file:
        for seed in range(shops):
            if seed not in known:
                known[seed] = simulate_world(seed)
                file.write(f"\n{json.dumps([seed, known[seed]])}")
                file.flush()
            yield from (tuple(judged) for judged in known[seed])


def _is_whole(line: str) -> bool:
    """Whether a kept line was written to its end: a killed run may leave a part of one."""
    return line.endswith("]]]")


def format_results(found: list[tuple[int, str, bool]], shops: int) -> str:
    """The page of results."""
    feeds = sum(judge_feed(seed) for seed in range(shops))
    packages = ", ".join(f"{name} {version(name)}" for name in ("clvcast", "numpy"))
    rows = []
    for customers in sorted({size for size, _, _ in found}):
        cells = [f"{customers:,}"]
        for truth, wrong in (("better", False), ("worse", True), ("tie", False)):
            passed = [p for size, t, p in found if (size, t) == (customers, truth)]
            errors = sum(p == wrong for p in passed)
            cells.append(f"{errors} of {len(passed)} ({errors / max(len(passed), 1):.1%})")
        rows.append("| " + " | ".join(cells) + " |")
    text = (__doc__ or "").split("\n\n", 2)[2].replace("\n", " ").strip()
    return f"""# The gate's errors

{date.today()}, {packages}, Python {platform.python_version()}, {os.cpu_count()} cores of \
{platform.machine()}, shared. Command: `make benchmark-gate` \
(`python benchmarks/gate.py --shops {shops}`). {shops} worlds, each at every size.

{text}

| customers | better, and refused | worse, and passed | near-ties refused |
|---|---|---|---|
{chr(10).join(rows)}

Broken feeds (months that the champion knew have changed by 6 % or more) that passed: {feeds} of \
{shops}.

Candidates are as far from the champion as -60 % to +60 % of its noise; the closer ones decide these
rates. In a shop of 300 customers a difference of 3 % is smaller than chance.
"""


def main() -> None:
    """Simulate, print, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shops", type=int, default=200)
    shops = parser.parse_args().shops
    page = format_results(list(simulate_kept(shops)), shops)
    RESULTS.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
