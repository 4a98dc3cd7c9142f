"""The bridge adds up to the cent, by files alone and by forecasting again; classes and movers by
hand.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Run
from hypothesis import assume, given
from hypothesis import strategies as st

import clvcast
from clvcast.errors import ConfigError, OrdersError
from clvcast.evaluation.comparison import compare
from clvcast.models.forecast_terms import ForecastTerms


def forecast(rows: list[tuple[object, ...]], cutoff: str, version: str = "m1") -> pd.DataFrame:
    names = ["customer_id", "clv", "n_orders", "days_since_last_order", "risk"]
    frame = pd.DataFrame(rows, columns=names)
    return frame.assign(
        cutoff=pd.Timestamp(cutoff),
        model_version=version,
        churn_probability=frame["risk"].map({"low": 0.2, "high": 0.8}).fillna(0.5),
        expected_spend=frame["clv"] / 4,
    )


A = forecast(
    [("a", 100.0, 3, 10, "low"), ("b", 50.0, 1, 40, "low"), ("c", 8.0, 1, 90, "high")], "2020-01-01"
)
B = forecast(
    [("a", 130.0, 4, 5, "low"), ("b", 30.0, 1, 71, "high"), ("d", 7.5, 1, 2, "low")], "2020-02-01"
)


def terms(result: clvcast.evaluation.comparison.Comparison) -> dict[str, tuple[int, float]]:
    return {term.name: (term.customers, term.amount) for term in result.terms}


def test_a_bridge_by_hand() -> None:
    result = compare(A, B)
    assert (result.before, result.after) == (158.0, 167.5)
    assert terms(result) == {
        "customers lost": (1, -8.0),
        "ageing": (1, -20.0),
        "new orders": (1, 30.0),
        "new customers": (1, 7.5),
    }
    moves = {
        (row["from"], row["to"]): (row["customers"], row["value_before"], row["value_after"])
        for row in result.migrations["risk"].to_dict("records")
    }
    assert moves == {
        ("low", "low"): (1, 100.0, 130.0),
        ("low", "high"): (1, 50.0, 30.0),
        ("high", "(not there)"): (1, 8.0, 0.0),
        ("(not there)", "low"): (1, 0.0, 7.5),
    }
    assert result.rose.to_dict("records") == [
        {"customer_id": "a", "before": 100.0, "after": 130.0, "change": 30.0}
    ]
    assert result.fell["customer_id"].tolist() == ["b"]


def test_another_model_is_named_where_files_alone_can_tell_it_or_not() -> None:
    assert "another model" in terms(compare(A, A.assign(model_version="m2", clv=A["clv"] + 1)))
    assert "restated orders or settings" in terms(compare(A, A.assign(clv=A["clv"] + 1)))
    assert {"ageing and another model", "new orders and another model"} < set(
        terms(compare(A, B.assign(model_version="m2")))
    )


amounts = st.lists(st.floats(0, 1e6), min_size=1, max_size=40)


@given(amounts, amounts, st.integers(0, 20))
def test_terms_add_up_to_the_cent(before: list[float], after: list[float], shift: int) -> None:
    def of(values: list[float], first: int, cutoff: str) -> pd.DataFrame:
        rows = [(str(first + k), v, k % 3, k % 50, "low") for k, v in enumerate(values)]
        return forecast(rows, cutoff)  # type: ignore[arg-type]

    assume(shift < len(before))
    result = compare(of(before, 0, "2020-01-01"), of(after, shift, "2020-02-01"))
    cents = [round(term.amount * 100) for term in result.terms]
    assert round(result.before * 100) + sum(cents) == round(result.after * 100)
    assert result.before == round(float(np.sum(before)) * 100) / 100
    assert abs(result.after - sum(after)) <= 0.005 + 1e-9 * sum(after)
    for table in result.migrations.values():
        assert table["value_before"].sum() == pytest.approx(sum(before))
        assert table["value_after"].sum() == pytest.approx(sum(after))


@pytest.mark.slow
def test_forecasting_again_tells_model_ageing_and_orders_apart(
    shop_model: clvcast.Model,
    shop_orders: clvcast.Orders,
    shop_lines: pd.DataFrame,
    shop_config: clvcast.Config,
) -> None:
    early, late = "2021-01-20", "2021-02-24"
    old = clvcast.train(shop_orders, shop_config, early)
    a = clvcast.score(old, shop_orders, early)
    b = clvcast.score(shop_model, shop_orders, late)
    result = compare(a, b, shop_model, shop_orders)
    found = terms(result)
    # no one is new in these weeks
    assert list(found) == ["another model", "ageing", "earned since", "new orders"]
    lines = shop_lines[shop_lines["ordered_at"].between(early, late, "left")]
    earned = lines.loc[lines["customer_id"].isin(a["customer_id"]), "amount"].sum()
    assert found["earned since"][1] == pytest.approx(-earned, abs=0.01)
    total = round((result.before + sum(amount for _, amount in found.values())) * 100)
    assert total == round(result.after * 100)
    # the same again by hand: B's model at A's cutoff
    again = clvcast.score(shop_model, shop_orders, early)
    assert found["another model"][1] == pytest.approx(again["clv"].sum() - a["clv"].sum(), abs=0.01)
    assert found["new orders"][1] > earned
    # the files and the orders alone tell what was earned as well
    assert terms(compare(a, b, orders=shop_orders))["earned since"] == found["earned since"]
    # of one model, nothing but time and orders moved it
    same = terms(compare(again, b, shop_model, shop_orders))
    assert same["restated orders"][1] == 0.0
    with pytest.raises(OrdersError, match="must give B again"):
        compare(a, b.assign(clv=b["clv"] * 1.01), shop_model, shop_orders)
    with pytest.raises(ConfigError, match="must be the one that made B"):
        compare(a, b, old, shop_orders)


def made(frame: pd.DataFrame, **terms: object) -> pd.DataFrame:
    """The forecast with terms; only those named differ from a margin of 0.4 in GBP."""
    stated = {
        **{"horizon_days": 90, "periods": 4, "margin_rate": 0.4, "annual_discount_rate": 0.0},
        **{"target": "spend", "currency": "GBP"},
    }
    frame = frame.copy()
    frame.attrs |= ForecastTerms.model_validate({**stated, **terms}).attributes()
    return frame


def test_another_margin_is_a_step_of_its_own() -> None:
    """a and b are worth 150 at a margin of 0.4: 300 at 0.8."""
    result = compare(made(A), made(B, margin_rate=0.8))
    found = terms(result)
    assert found["other terms"] == (2, 150.0)
    assert (found["ageing"], found["new orders"]) == ((1, -70.0), (1, -70.0))
    assert result.remarks == (
        "forecast A was made with economics.margin_rate 0.4, forecast B with "
        "economics.margin_rate 0.8",
    )
    assert (result.basis, result.currency) == ("margin", "GBP")
    spend = compare(made(A), made(B, margin_rate=0.8), measure="expected_spend")
    assert "other terms" not in terms(spend)
    assert spend.basis == "revenue"
    assert "is not checked" in compare(A, made(B)).remarks[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("horizon_days", 30),
        ("periods", 2),
        ("annual_discount_rate", 0.1),
        ("target", "gross"),
        ("currency", "EUR"),
    ],
)
def test_other_terms_are_refused_in_one_sentence(key: str, value: object) -> None:
    with pytest.raises(OrdersError) as refusal:
        compare(made(A), made(B, **{key: value}))
    told = str(refusal.value)
    assert key in told
    assert f"{key} {value}" in told
    assert told.endswith("cannot be compared; score both with the same configuration")


def test_the_bridge_of_each_segment_by_hand() -> None:
    """b moves from low to high risk with its 30; c is lost, d is new."""
    found = compare(A, B, by="risk").segments
    assert found is not None
    steps = {
        segment: dict(zip(rows["step"], rows["amount"], strict=True))
        for segment, rows in found.groupby("segment")
    }
    assert steps["high"] == {
        "A": 8.0,
        "customers lost": -8.0,
        "moved from other segments": 30.0,
        "B": 30.0,
    }
    assert steps["low"] == {
        "A": 150.0,
        "ageing": -20.0,
        "new orders": 30.0,
        "new customers": 7.5,
        "moved to other segments": -30.0,
        "B": 137.5,
    }


def test_a_migration_is_a_matrix_too() -> None:
    result = compare(A, B)
    assert result.matrix("risk").loc["low"].to_dict() == {"(not there)": 0, "high": 1, "low": 1}
    assert result.matrix("risk", "value_after").loc["low", "high"] == 30.0


@pytest.mark.parametrize(
    ("low_in_b", "is_said"), [(0.40, False), (0.4999, False), (0.5, True), (0.6, True)]
)
def test_other_risk_limits_are_said(low_in_b: float, is_said: bool) -> None:
    """A's medium begins at 0.5: what B calls low must be below it, or the limits are others."""
    churn = {"low": 0.1, "medium": 0.5, "high": 0.9}
    a = A.assign(risk=["low", "medium", "high"])
    a["churn_probability"] = a["risk"].map(churn)
    b = B.assign(risk=["low", "medium", "high"], model_version="m2")
    b["churn_probability"] = [low_in_b, 0.7, 0.95]
    said = compare(a, b).remarks[1:]  # the first: no terms are known
    assert len(said) == int(is_said)
    if is_said:
        assert "cut their risk bands at other churn probabilities" in said[0]
        assert f"B: low {low_in_b:.4f} to {low_in_b:.4f}, medium 0.7000" in said[0]
    assert len(compare(a.drop(columns="risk"), b).remarks) == 1


def test_what_cannot_be_compared() -> None:
    with pytest.raises(ConfigError, match="A must be the earlier"):
        compare(B, A)
    with pytest.raises(OrdersError, match="of one cutoff and one model"):
        compare(pd.concat([A, B]), B)
    with pytest.raises(OrdersError, match="has the same customer twice"):
        compare(pd.concat([A, A]), B)
    with pytest.raises(OrdersError, match="lacks clv"):
        compare(A.drop(columns="clv"), B)
    with pytest.raises(OrdersError, match="none of A's 3 customers is in B"):
        compare(A, B.assign(customer_id=["x", "y", "z"]))
    with pytest.raises(OrdersError, match="must hold no negative clv, got -1"):
        compare(A.assign(clv=-1.0), B)
    with pytest.raises(ConfigError, match="by must be one of tier, rfm_segment, risk, got channel"):
        compare(A, B, by="channel")
    with pytest.raises(ConfigError, match="measure must be"):
        compare(A, B, measure="money")


def test_the_command(run: Run, tmp_path: Path) -> None:
    A.assign(customer_id=["007", "b", "c"]).to_csv(tmp_path / "a.csv", index=False)
    B.assign(customer_id=["007", "b", "d"]).to_parquet(tmp_path / "b.parquet")
    status, out, _ = run("compare", tmp_path / "a.csv", tmp_path / "b.parquet", "--json")
    told = json.loads(out)
    assert (status, told["after"], told["rose"][0]["customer_id"]) == (0, 167.5, "007")
    status, out, _ = run("compare", tmp_path / "a.csv", tmp_path / "b.parquet")
    assert (status, "customers lost" in out, "risk: from A to B" in out) == (0, True, True)
    status, _, err = run("compare", tmp_path / "a.csv", tmp_path / "none.parquet")
    assert (status, "there is no forecast file" in err) == (1, True)
    status, out, _ = run(
        *("compare", tmp_path / "a.csv", tmp_path / "b.parquet"),
        *("--by", "risk", "--output", tmp_path / "change"),
    )
    assert (status, ") by risk" in out) == (0, True)
    written = pd.read_csv(tmp_path / "change" / "bridge.csv")
    assert written["amount"].tolist() == [158.0, -8.0, -20.0, 30.0, 7.5, 167.5]
    names = {path.stem for path in (tmp_path / "change").iterdir()}
    tables = {"bridge", "bridge_by_segment", "migration_risk", "rose", "fell"}
    assert names == tables | {"dictionary"}
