"""Numbers of a bundle: what breaks a rule is refused, and golden rows notice the rest."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fuzz_bundles
import pandas as pd
import pytest
from fuzz_bundles import reseal

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.errors import BundleError
from clvcast.models import bundle as bundles
from clvcast.models.golden_rows import CUTOFF, GoldenFile
from clvcast.models.golden_trees import GoldenTrees, build_golden_trees, check_golden_trees
from clvcast.models.model import TrainedModel
from clvcast.models.scoring import FORECAST_SCHEMA
from clvcast.models.season import Season
from clvcast.models.trees.lightgbm_trees import Trees
from clvcast.models.trees.validation import check_trees
from clvcast.orders.reading.read_orders import read_table

PLACES = (0.1, 0.35, 0.6, 0.85)


@pytest.fixture(scope="module")
def seasonal(shop_model: clvcast.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that knows a season."""
    season = Season(
        places=PLACES, churn=(0.1, 0.0, -0.1, 0.0), ordered=(0.0, 0.1, 0.0, 0.1), spend=(0.1,) * 4
    )
    blend = shop_model.numbers.blend.model_copy(update={"season": season})
    numbers = shop_model.numbers.model_copy(update={"blend": blend})
    folder = tmp_path_factory.mktemp("seasonal") / "bundle"
    bundles.save_bundle(TrainedModel(numbers, shop_model.trees), folder)
    return folder


Change = Callable[[dict[str, Any]], object]


def season(m: dict[str, Any]) -> Any:
    return m["blend"]["season"]


def table(m: dict[str, Any]) -> Any:
    return m["intervals"]["clv_sure"]


BROKEN: dict[str, Change] = {
    "a curve shorter than its places": lambda m: season(m)["spend"].pop(),
    "places that fall": lambda m: season(m)["places"].reverse(),
    "a place after the year": lambda m: season(m)["places"].__setitem__(3, 1.0),
    "a curve beyond all seasons": lambda m: season(m)["churn"].__setitem__(0, 21.0),
    "no number": lambda m: season(m)["churn"].__setitem__(0, float("nan")),
    "infinite shift": lambda m: m["blend"].update(churn_shift=float("inf")),
    "knots that fall": lambda m: m["intervals"]["spend"]["log_knots"].reverse(),
    "no knots": lambda m: table(m).update(log_knots=[], lower=[], upper=[], deviation=[]),
    "negative deviation": lambda m: table(m)["deviation"].__setitem__(0, -0.1),
    "a table cut short": lambda m: table(m)["upper"].pop(),
    "lower above upper": lambda m: table(m)["lower"].__setitem__(0, 1e6),
    "cuts that fall": lambda m: m["segments"]["money_cuts"].reverse(),
    "edges that fall": lambda m: m["segments"]["tier_edges"].reverse(),
    "segments that are no partition": lambda m: m["segments"]["rfm"].popitem(),
    "no level": lambda m: m["later"].update(levels=[], total_ratios=[]),
    "a negative ratio": lambda m: m["later"]["total_ratios"].__setitem__(0, -1.0),
    "a feature nobody knows": lambda m: m["features"].__setitem__(0, "luck"),
    "a feature twice": lambda m: m["features"].__setitem__(0, m["features"][1]),
    "no period": lambda m: m.update(periods=0),
    "more than 40 periods": lambda m: m.update(periods=41),
    "no horizon": lambda m: m.update(horizon_days=0),
    "a negative order value": lambda m: m.update(order_value=-1.0),
    "an instant beyond the calendar": lambda m: m.update(trained_until=10**18),
}
CHANGED: dict[str, Change] = {
    "a season's spend": lambda m: season(m)["spend"].__setitem__(2, 0.11),
    "a season's churn": lambda m: season(m)["churn"].__setitem__(3, 0.01),
    "a knot of an interval": lambda m: table(m)["upper"].__setitem__(-1, table(m)["upper"][-1] + 1),
    "a deviation": lambda m: table(m)["deviation"].__setitem__(0, table(m)["deviation"][0] + 0.1),
    "a cut of recency": lambda m: m["segments"]["recency_cuts"].__setitem__(0, -1.0),
    "a cut of money": lambda m: m["segments"]["money_cuts"].__setitem__(3, 1e7),
    "a tier's edge": lambda m: m["segments"]["tier_edges"].__setitem__(0, -1.0),
    "a risk's edge": lambda m: m["segments"]["risk"].update(low_below=0.32),
    "a segment's name": lambda m: m["segments"]["rfm"].update(
        Winners=m["segments"]["rfm"].pop("Champions")
    ),
    "the last level": lambda m: m["later"]["levels"].__setitem__(-1, m["later"]["levels"][-1] * 2),
    "evidence": lambda m: m.update(short_history=not m["short_history"]),
    "the shock": lambda m: m["intervals"].update(spend_shock=0.9),
}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        *((name, "does not hold a model") for name in BROKEN),
        *((name, "golden") for name in CHANGED),
    ],
)
def test_numbers_are_checked(
    seasonal: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    kept = {path: path.read_bytes() for path in seasonal.iterdir()}
    monkeypatch.setattr(bundles, "check_trees", lambda *_: None)  # slow, and tested elsewhere
    monkeypatch.setattr(Trees, "from_text", lambda text: PARSED.setdefault(text, PARSE(text)))
    content = json.loads((seasonal / "model.json").read_text())
    (BROKEN | CHANGED)[name](content)
    try:
        reseal(seasonal, "model.json", json.dumps(content))
        with pytest.raises(BundleError, match=message):
            bundles.load_bundle(seasonal)
    finally:
        for path, own in kept.items():
            path.write_bytes(own)


PARSE = Trees.from_text
PARSED: dict[str, Trees] = {}


def parse_once(text: str) -> Trees:
    """The trees of a text, which no mutation here touches."""
    if text not in PARSED:
        PARSED[text] = PARSE(text)
    return PARSED[text]


def test_golden_rows_cover_every_column_and_every_part_of_the_season(seasonal: Path) -> None:
    golden = GoldenFile.model_validate_json((seasonal / "golden.json").read_bytes())
    assert len(golden.rows) == 1 + len(PLACES)
    assert CUTOFF in golden.rows
    days = sorted(pd.Timestamp(cutoff).day_of_year for cutoff in golden.rows)
    assert all(any(abs(day - place * 365.2425) <= 2 for day in days) for place in PLACES)
    for rows in golden.rows.values():
        for row in rows.values():
            assert set(row) == set(FORECAST_SCHEMA.names) - {
                "customer_id",
                "cutoff",
                "model_version",
            }
    bundles.load_bundle(seasonal)


def test_a_change_of_one_number_of_one_tree_is_noticed(shop_model: clvcast.Model) -> None:
    n_features = len(shop_model.numbers.features)
    golden = build_golden_trees(shop_model.trees, n_features)
    assert GoldenTrees.model_validate_json(golden.model_dump_json()) == golden
    check_golden_trees(shop_model.trees, n_features, golden)
    chance = random.Random(0)
    tried: Counter[str] = Counter()
    for _ in range(60):
        head = chance.choice(list(shop_model.trees))
        text, place = fuzz_bundles.mutate_tree(shop_model.trees[head][0].text, chance)
        kind = place.partition(" ")[0]
        try:
            check_trees(text, shop_model.numbers.features, head)
        except BundleError:
            continue
        changed = Trees.from_text(text)
        is_same = text == shop_model.trees[head][0].text
        if is_same or kind == "decision_type":  # where nothing is missing it may change nothing
            continue
        tried[kind] += 1
        trees = {**shop_model.trees, head: (changed, *shop_model.trees[head][1:])}
        with pytest.raises(BundleError, match=f"{head}-0.txt gives other sums"):
            check_golden_trees(trees, n_features, golden)
    assert set(tried) == {"threshold", "split_feature", "leaf_value"}
    for wrong in (golden.inputs[1:], [[0.0] * 65, *golden.inputs[1:]]):
        with pytest.raises(BundleError, match="not the ones this version knows"):
            check_golden_trees(
                shop_model.trees, n_features, golden.model_copy(update={"inputs": wrong})
            )


@pytest.mark.slow
def test_mutations_with_mended_digests_are_refused_or_change_nothing(tmp_path: Path) -> None:
    """60 mutations; 500 under `make fuzz`."""
    orders = read_table(fuzz_bundles.build_shop(), OrdersConfig())
    config = clvcast.Config(horizon_days=60, periods=3, effort="quick")
    clvcast.train(orders, config).save(tmp_path / "bundle")
    outcomes = fuzz_bundles.fuzz(tmp_path / "bundle", orders, count=60, seed=1)
    counts = Counter(one.result for one in outcomes)
    assert counts["traceback"] == 0, outcomes
    assert counts["refused"] > 30
    assert counts["silent"] == 0, [one for one in outcomes if one.result == "silent"]
