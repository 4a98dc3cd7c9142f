"""Extra features: the user's own function, alike in training and scoring, audited, never kept."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import worlds
from conftest import Run

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.orders.extra_features import ExtraFunction
from clvcast.orders.reading.read_orders import read_table

LINES = worlds.shop(customers=150, days=300, seed=5)
CUTOFF = pd.Timestamp("2020-08-01")


def count_large_orders(orders: pd.DataFrame, cutoff: pd.Timestamp) -> pd.DataFrame:
    """An honest function: orders above 40, and days since the largest line."""
    large = orders[orders["amount"] > 40].groupby("customer_id").size()
    newest = orders.groupby("customer_id")["ordered_at"].max()
    days = (cutoff - newest).dt.total_seconds() / 86_400
    return pd.DataFrame({"n_large": large, "days_quiet": days})


def spend_later(lines: pd.DataFrame) -> ExtraFunction:
    """A planted leak: the function looks up what customers spend after the cutoff."""

    def leak(orders: pd.DataFrame, cutoff: pd.Timestamp) -> pd.DataFrame:
        later = lines[lines["ordered_at"] >= cutoff].groupby("customer_id")["amount"].sum()
        ids = orders["customer_id"].unique()
        return pd.DataFrame({"hint": later.reindex(ids, fill_value=0.0)})

    return leak


def compare_with_others(orders: pd.DataFrame, cutoff: pd.Timestamp) -> pd.DataFrame:
    """A function that reads other customers: spend beside the mean of all."""
    own = orders.groupby("customer_id")["amount"].sum()
    return pd.DataFrame({"beside_mean": own / own.mean()})


def test_columns_stand_behind_the_catalogue_and_end_before_the_cutoff() -> None:
    seen: list[tuple[pd.Timestamp, pd.Timestamp]] = []

    def watch(orders: pd.DataFrame, cutoff: pd.Timestamp) -> pd.DataFrame:
        seen.append((orders["ordered_at"].max(), cutoff))
        return count_large_orders(orders, cutoff)

    cutoffs = ["2020-05-01", "2020-08-01"]
    plain = clvcast.build_features(LINES, cutoffs)
    table = clvcast.build_features(LINES, cutoffs, extra_features=watch)
    assert list(table.columns) == [*plain.columns, "n_large", "days_quiet"]
    pd.testing.assert_frame_equal(table[plain.columns], plain)
    assert [cutoff for _, cutoff in seen] == [pd.Timestamp(day) for day in cutoffs]
    assert all(newest < cutoff for newest, cutoff in seen)
    known = LINES[LINES["ordered_at"] < CUTOFF]
    expected = count_large_orders(known, CUTOFF)
    found = table[table["cutoff"] == CUTOFF].set_index("customer_id")[["n_large", "days_quiet"]]
    expected = expected.reindex(found.index).astype(np.float32)
    pd.testing.assert_frame_equal(found, expected, check_names=False)


def test_one_customer_alone_has_the_same_values() -> None:
    table = clvcast.build_features(LINES, [CUTOFF], extra_features=count_large_orders)
    some = table["customer_id"].iloc[[0, 40, -1]]
    for customer_id in some:
        own = LINES[LINES["customer_id"] == customer_id]
        alone = clvcast.build_features(own, [CUTOFF], extra_features=count_large_orders)
        same = table[table["customer_id"] == customer_id].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, same, check_exact=True)


def test_what_is_not_finite_or_left_out_is_missing() -> None:
    def odd(orders: pd.DataFrame, cutoff: pd.Timestamp) -> pd.DataFrame:
        ids = orders["customer_id"].unique()[:3]
        return pd.DataFrame({"odd": [np.inf, 1e300, 2.5]}, index=ids)

    found = clvcast.build_features(LINES, [CUTOFF], extra_features=odd)["odd"]
    assert found.notna().sum() == 1
    assert found[2] == 2.5


def answer(frame: Any) -> ExtraFunction:
    return lambda orders, cutoff: frame(orders) if callable(frame) else frame


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ([1, 2], "must return a DataFrame indexed by customer_id, got list"),
        (lambda o: o[["amount"]], "must be indexed by the customer_id"),
        (lambda o: o.set_index("customer_id")[["amount"]], "one row per customer"),
        (lambda o: o.groupby("customer_id")[["order_id"]].first(), "must return numbers"),
        (lambda o: o.groupby("customer_id")["amount"].agg(n_orders="size"), "n_orders, which clv"),
        (lambda o: pd.DataFrame({"a b": 1.0}, index=["C00000"]), "letters, digits and _"),
        (lambda o: pd.DataFrame(index=["C00000"]), "columns of different names, got none"),
        (
            lambda o: o.groupby("client").size(),
            "at the cutoff 2020-08-01: KeyError: 'client'",
        ),
    ],
)
def test_a_faulty_answer_is_one_sentence(frame: Any, message: str) -> None:
    with pytest.raises(clvcast.ConfigError, match=message):
        clvcast.build_features(LINES, [CUTOFF], extra_features=answer(frame))


def test_columns_are_the_same_at_every_cutoff() -> None:
    def change(orders: pd.DataFrame, cutoff: pd.Timestamp) -> pd.DataFrame:
        return (
            orders.groupby("customer_id")[["amount"]].sum().set_axis([f"m{cutoff.month}"], axis=1)
        )

    with pytest.raises(clvcast.ConfigError, match="at every cutoff, got none named m5"):
        clvcast.build_features(LINES, ["2020-05-01", "2020-06-01"], extra_features=change)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (spend_later(LINES), "hint change when customers exchange their ids"),
        (compare_with_others, "beside_mean change when a customer is alone"),
        (
            lambda o, c: pd.DataFrame({"luck": np.random.random(1)}, index=o["customer_id"][:1]),
            "luck change when called twice",
        ),
        (
            lambda o, c: pd.DataFrame(
                {"shop": LINES["amount"][LINES["ordered_at"] >= c].sum()},
                index=o["customer_id"].unique(),
            ),
            "shop change when all dates are 28 years earlier",
        ),
    ],
)
def test_the_audit_finds_leaks_and_other_customers(function: ExtraFunction, told: str) -> None:
    config = clvcast.Config(horizon_days=60)
    found = clvcast.check(LINES, config, audit=True, extra_features=function)[-1]
    assert (found.name, found.verdict) == ("extra features", "fail")
    assert told in found.sentence
    assert "customers: (with valid_from)" in found.mend


def test_the_audit_passes_an_honest_function() -> None:
    findings = clvcast.check(LINES, audit=True, extra_features=count_large_orders)
    assert [f.verdict for f in findings if f.name in ("audit", "extra features")] == ["pass"] * 2
    assert "extra features" not in {f.name for f in clvcast.check(LINES, audit=True)}


@pytest.fixture(scope="module")
def orders() -> clvcast.Orders:
    return read_table(worlds.shop(customers=250, seed=8), OrdersConfig())


CONFIG = clvcast.Config(horizon_days=60, effort="quick", periods=2)


@pytest.fixture(scope="module")
def model(orders: clvcast.Orders) -> clvcast.Model:
    return clvcast.train(orders, CONFIG, extra_features=count_large_orders)


@pytest.mark.slow
def test_the_model_keeps_names_alone_and_asks_for_the_function(
    model: clvcast.Model, orders: clvcast.Orders, tmp_path: Path
) -> None:
    assert model.numbers.extra_features == ("n_large", "days_quiet")
    model.save(tmp_path / "bundle")
    kept = (tmp_path / "bundle" / "model.json").read_text()
    assert "count_large_orders" not in kept
    loaded = clvcast.load_model(tmp_path / "bundle")
    assert loaded.version == model.version
    with pytest.raises(clvcast.ConfigError, match="needs the extra features n_large, days_quiet"):
        clvcast.score(loaded, orders)
    scored = clvcast.score(loaded, orders, extra_features=count_large_orders)
    pd.testing.assert_frame_equal(
        scored, clvcast.score(model, orders, extra_features=count_large_orders)
    )

    def other(orders: pd.DataFrame, cutoff: pd.Timestamp) -> pd.DataFrame:
        return count_large_orders(orders, cutoff).assign(n_large=50.0)

    moved = clvcast.score(loaded, orders, extra_features=other)
    assert (moved["expected_spend"] != scored["expected_spend"]).any()
    with pytest.raises(clvcast.ConfigError, match="got none named n_large"):
        clvcast.score(
            loaded, orders, extra_features=lambda o, c: count_large_orders(o, c)[["days_quiet"]]
        )
    ready = loaded.with_extra_features(count_large_orders)
    one = orders.slice_customers(7, 8)
    own = ready.score_one(one, scored["cutoff"][0])
    row = scored[scored["customer_id"] == own.customer_id].iloc[0]
    assert (own.clv, own.churn_probability) == (row["clv"], row["churn_probability"])
    reasons = clvcast.explain(ready, orders, customers=[own.customer_id], largest=100)
    assert {"n_large", "days_quiet"} <= set(reasons["reason"])


@pytest.mark.slow
def test_interfaces_that_cannot_have_the_function_say_so(
    model: clvcast.Model, shop_model: clvcast.Model, shop_orders: clvcast.Orders, tmp_path: Path
) -> None:
    from clvcast.serve import warmup
    from clvcast.serve.pyfunc import _load_pyfunc

    model.save(tmp_path / "bundle")
    with pytest.raises(clvcast.ConfigError, match="MLflow's pyfunc cannot be given"):
        _load_pyfunc(str(tmp_path / "bundle"))
    warmup.warm(model)  # golden rows have invented values
    with pytest.raises(clvcast.ConfigError, match="learned from none"):
        clvcast.score(shop_model, shop_orders, extra_features=count_large_orders)


@pytest.mark.slow
def test_a_configuration_names_the_function(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    worlds.shop(customers=150, seed=8).to_csv("orders.csv", index=False)
    Path("shop_facts.py").write_text(
        "def build(orders, cutoff):\n"
        "    lines = orders.groupby('customer_id')['quantity'].max()\n"
        "    return lines.rename('most_at_once').to_frame()\n"
    )
    Path("shop.yaml").write_text(
        json.dumps(
            {
                "orders": {"source": "orders.csv"},
                "horizon_days": 60,
                "effort": "quick",
                "features": {"extra": "shop_facts:build"},
            }
        )
    )
    config = clvcast.load_config("shop.yaml")
    clvcast.train("orders.csv", config).save("bundle")
    command = ("score", "--model", "bundle", "-o", "a.parquet")
    status, _, err = run(*command, "--orders", "orders.csv")
    assert status != 0
    assert "needs the extra features most_at_once" in err
    assert run(*command, "--config", "shop.yaml")[0] == 0
    status, out, _ = run(*command, "--config", "shop.yaml")
    assert (status, "already done" in out) == (0, False)  # the function may have changed
    model = clvcast.load_model("bundle").with_config(config)
    expected = clvcast.score(model, "orders.csv")
    pd.testing.assert_frame_equal(pd.read_parquet("a.parquet"), expected, check_dtype=False)
    status, out, _ = run("check", "shop.yaml", "--audit")
    assert (status, "1 extra feature of" in out) == (0, True)
    Path("shop.yaml").write_text(
        json.dumps({"orders": {"source": "orders.csv"}, "features": {"extra": "shop_facts:none"}})
    )
    status, _, err = run("check", "shop.yaml")
    assert (status, "has no function none" in err) == (2, True)


@pytest.mark.slow
def test_the_page_runs(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    worlds.shop(customers=250, seed=8).to_parquet("orders.parquet")
    page = (root / "docs" / "own-features.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(block, "own-features.md", "exec"), names)
    assert names["model"].numbers.extra_features == ("weekend_lines",)
    found = clvcast.check("orders.parquet", audit=True, extra_features=names["build"])[-1]
    assert (found.name, found.verdict) == ("extra features", "pass")
