"""Customer attributes: joined as of the cutoff, coded by the model's vocabulary, the same at every
door.
"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from conftest import Run, needed, read_nested_forecasts
from hypothesis import given
from hypothesis import strategies as st

import clvcast
from clvcast.configs.schema import CustomersConfig, OrdersConfig, parse_config
from clvcast.errors import ConfigError, OrdersError
from clvcast.features.attribute_features import (
    count_missing_attributes,
    encode_attributes,
    learn_coding,
)
from clvcast.features.checks.leakage_audit import audit_leakage
from clvcast.features.table import compute_feature_rows
from clvcast.models.scoring import forecast_rows
from clvcast.orders import dates, windows
from clvcast.orders.reading.read_orders import read_table
from clvcast.serve.pyfunc import NestedModel

CUTOFF = "2020-12-01"
NAMES = ("country", "level", "points", "signed_up")
CONFIG = CustomersConfig(
    columns={
        "customer_id": "id",
        "country": "land",
        "level": "level",
        "points": "points",
        "signed_up": "joined",
    },
    types={"points": "number", "signed_up": "date"},
    valid_from="since",
)


@pytest.fixture(scope="session")
def facts(shop_lines: pd.DataFrame) -> pd.DataFrame:
    """Dated facts about most customers of the shop: the country helps to tell how much
    they spend.
    """
    random = np.random.default_rng(5)
    spend = shop_lines.groupby("customer_id")["amount"].mean()
    rows: list[dict[str, Any]] = []
    for k, (customer_id, level) in enumerate(spend.items()):
        if k % 11 == 0:
            continue
        for change in range(1 + k % 3):
            rows.append(
                {
                    "id": customer_id,
                    "land": ["FR", "GB", None, "DE", f"rare {k}"][k % 5] if k % 2 else "GB",
                    "level": "gold" if level * random.lognormal(0, 0.3) > 25 else "basic",
                    "points": float(round(level * 10)) + change if k % 7 else None,
                    "joined": pd.Timestamp("2019-06-01") + pd.Timedelta(days=(k * 3) % 800),
                    "since": pd.Timestamp("2019-12-01") + pd.Timedelta(days=change * 200 + k % 40),
                }
            )
    return pd.DataFrame(rows).sample(frac=1.0, random_state=2)


@pytest.fixture(scope="session")
def orders(shop_orders: clvcast.Orders, facts: pd.DataFrame) -> clvcast.Orders:
    return clvcast.join_customers(shop_orders, facts, CONFIG)


@pytest.fixture(scope="session")
def quick(shop_config: clvcast.Config) -> clvcast.Config:
    return shop_config.model_copy(update={"effort": "quick"})


@pytest.fixture(scope="session")
def model(orders: clvcast.Orders, quick: clvcast.Config) -> clvcast.Model:
    return clvcast.train(orders, quick, CUTOFF)


def joined(lines: pd.DataFrame, facts: pd.DataFrame) -> clvcast.Orders:
    return clvcast.join_customers(read_table(lines, OrdersConfig()), facts, CONFIG)


def test_features_are_the_newest_fact_before_the_cutoff(
    orders: clvcast.Orders, facts: pd.DataFrame
) -> None:
    """Against pandas, one customer and cutoff at a time."""
    cutoffs = np.array([dates.parse_instant(c) for c in ("2020-03-01", "2020-07-15", CUTOFF)])
    coding = learn_coding(orders, int(cutoffs[-1]))
    assert coding is not None
    rows = compute_feature_rows(encode_attributes(orders, coding), cutoffs)
    assert rows.names[-4:] == tuple(f"attribute_{name}" for name in NAMES)
    labels = {name: list(coding.vocabulary[name]) for name in ("country", "level")}
    assert labels == {"country": ["DE", "FR", "GB"], "level": ["basic", "gold"]}
    ids = orders.customer_ids.to_pylist()
    for row in range(0, rows.n_rows, 13):
        cutoff = pd.Timestamp(cutoffs[rows.cutoff_index[row]], unit="us")
        own = facts[(facts["id"] == ids[rows.customer_index[row]]) & (facts["since"] < cutoff)]
        expected = [np.nan] * 4
        if len(own):
            fact = own.sort_values("since").iloc[-1]
            for position, (name, theirs) in enumerate((("country", "land"), ("level", "level"))):
                if isinstance(fact[theirs], str):
                    known = fact[theirs] in labels[name]
                    expected[position] = (
                        labels[name].index(fact[theirs]) if known else len(labels[name])
                    )
            expected[2] = fact["points"]
            if fact["joined"] < cutoff:
                expected[3] = (cutoff - fact["joined"]) / pd.Timedelta(days=1)
        np.testing.assert_array_equal(rows.values[row, -4:], np.array(expected, np.float32))


def test_a_model_learns_from_them_and_keeps_no_customer(model: clvcast.Model) -> None:
    assert model.numbers.features[-4:] == tuple(f"attribute_{name}" for name in NAMES)
    used = {
        name
        for trees in sum(model.trees.values(), ())
        for name in NAMES
        if trees.booster.feature_importance()[model.numbers.features.index(f"attribute_{name}")]
    }
    assert {"level", "points"} <= used
    text = b"".join(model.files().values())
    assert b"rare" not in text
    assert b"C000" not in text


def test_facts_at_or_after_the_cutoff_touch_neither_model_nor_forecast(
    shop_lines: pd.DataFrame,
    facts: pd.DataFrame,
    quick: clvcast.Config,
    model: clvcast.Model,
) -> None:
    cutoff = pd.Timestamp(CUTOFF)
    before, after = facts[facts["since"] < cutoff], facts[facts["since"] >= cutoff]
    assert len(after) > 50
    nonsense = after.assign(land="Atlantis", level="none", points=-1e9, joined=cutoff)
    at_once = nonsense.assign(since=cutoff).drop_duplicates("id")
    # a sign-up that has not happened yet is not known, whatever day it will be
    later = before.assign(joined=before["joined"].where(before["joined"] < cutoff, "2033-01-01"))
    worlds = [joined(shop_lines, f) for f in (before, pd.concat([later, nonsense, at_once]))]
    for world in worlds:
        assert clvcast.train(world, quick, CUTOFF).files() == model.files()
        pd.testing.assert_frame_equal(
            clvcast.score(model, world, CUTOFF),
            clvcast.score(model, worlds[0], CUTOFF),
            check_exact=True,
        )
    changed = joined(shop_lines, before.assign(level="gold", points=1e6))
    assert clvcast.train(changed, quick, CUTOFF).version != model.version


def test_the_audit_removes_and_corrupts_later_facts(
    orders: clvcast.Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = audit_leakage(orders, 60)
    assert finding.verdict == "pass"
    assert re.search(r" and [1-9]\d* later facts removed and corrupted", finding.sentence)
    real = windows.find_newest_before

    def leaky(times: Any, starts: Any, instants: Any) -> Any:
        return real(times, starts, instants + 400 * dates.DAY)

    monkeypatch.setattr(windows, "find_newest_before", leaky)
    assert audit_leakage(orders, 60).verdict == "fail"


def test_every_door_gives_the_same_bits(
    model: clvcast.Model,
    orders: clvcast.Orders,
    shop_lines: pd.DataFrame,
    facts: pd.DataFrame,
    tmp_path: Path,
    run: Run,
) -> None:
    batch = clvcast.score(model, orders, CUTOFF)
    for given_as in (facts, tmp_path / "facts.parquet", tmp_path / "facts.csv"):
        if isinstance(given_as, Path):
            save = facts.to_csv if given_as.suffix == ".csv" else facts.to_parquet
            save(given_as, index=False)
        found = clvcast.score(model, shop_lines, CUTOFF, customers=given_as)
        pd.testing.assert_frame_equal(found, batch, check_exact=True)
    model.save(tmp_path / "bundle")
    loaded = clvcast.load_model(tmp_path / "bundle")
    pd.testing.assert_frame_equal(clvcast.score(loaded, orders, CUTOFF), batch, check_exact=True)
    nested = clvcast.nest(orders, CUTOFF).sample(frac=1.0, random_state=3)
    assert set(nested["attributes"].iloc[0]) == set(NAMES)
    asked = NestedModel(loaded).predict(nested[nested["customer_id"].isin(batch["customer_id"])])
    asked = read_nested_forecasts(asked).sort_values("customer_id", ignore_index=True)
    pd.testing.assert_frame_equal(asked, batch, check_exact=True)
    for customer_id in batch["customer_id"][::40]:
        own = joined(
            shop_lines[shop_lines["customer_id"] == customer_id], facts[facts["id"] == customer_id]
        )
        alone = forecast_rows(model, own, dates.parse_instant(CUTOFF)).to_pandas()
        expected = batch[batch["customer_id"] == customer_id].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, expected, check_exact=True)
    shop_lines.to_parquet(tmp_path / "orders.parquet")
    arguments = ("score", "--model", tmp_path / "bundle", "--orders", tmp_path / "orders.parquet")
    more = ("--cutoff", CUTOFF, "--output", tmp_path / "f.parquet")
    status, _, err = run(*arguments, *more, "--customers", tmp_path / "facts.csv")
    assert status == 0, err
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "f.parquet"), batch, check_exact=True, check_dtype=False
    )
    assert "country is missing for " in err
    assert "has a label the model does not know (taken as other) for " in err
    status, _, err = run(*arguments, *more)
    assert status == 1
    assert "the model needs the customer attributes country, level, points, signed_up" in err


def asked_of(nested: pd.DataFrame) -> list[dict[str, Any]]:
    """Customers of a request."""
    rows = nested[["customer_id", "orders", "attributes"]].to_dict("records")
    return cast(list[dict[str, Any]], rows)


def compared(frame: pd.DataFrame, like: pd.DataFrame) -> None:
    own = frame.set_index("customer_id").loc[like["customer_id"]].reset_index()
    for name in like.select_dtypes("datetime").columns:
        own[name] = pd.to_datetime(own[name]).astype("datetime64[us]")
    pd.testing.assert_frame_equal(own[like.columns], like, check_exact=True, check_dtype=False)


@pytest.mark.slow
def test_a_service_tells_them_and_gets_the_same_bits(
    model: clvcast.Model, orders: clvcast.Orders
) -> None:
    batch = clvcast.score(model, orders, CUTOFF)
    nested = clvcast.nest(orders, CUTOFF)
    nested = nested[nested["customer_id"].isin(batch["customer_id"])]
    ones = [
        model.score_one(one["orders"], CUTOFF, one["customer_id"], one["attributes"])
        for one in asked_of(nested)
    ]
    compared(pd.DataFrame([dataclasses.asdict(one) for one in ones]), batch)


def test_rest_takes_them_in_every_form(
    model: clvcast.Model,
    orders: clvcast.Orders,
    shop_lines: pd.DataFrame,
) -> None:
    servers, rest = needed("servers"), needed("clvcast.serve.rest.model_holder")
    batch = clvcast.score(model, orders, CUTOFF)
    nested = clvcast.nest(orders, CUTOFF)
    asked = asked_of(nested)
    with servers.serving(rest.ModelHolder(model)) as client:
        about = client.get("/v1/model").json()
        assert about["needed_attributes"] == {
            "country": "text",
            "level": "text",
            "points": "number",
            "signed_up": "date",
        }
        answer = client.post("/v1/forecasts", json={"cutoff": CUTOFF, "customers": asked})
        compared(pd.DataFrame(answer.json()["forecasts"]), batch)
        alone = client.post("/v1/forecasts", json={"cutoff": CUTOFF, "customers": asked[7:8]})
        assert alone.json()["forecasts"] == answer.json()["forecasts"][7:8]
        explained = client.post("/v1/explain", json={"cutoff": CUTOFF, "customers": asked[7:8]})
        assert explained.json()["explanations"][0]["clv"] == alone.json()["forecasts"][0]["clv"]

        told = {one["customer_id"]: one["attributes"] for one in asked}
        lines = shop_lines[shop_lines["customer_id"].isin(list(told))].copy()
        for name in NAMES:
            lines[f"attribute_{name}"] = [told[own][name] for own in lines["customer_id"]]
        headers = {"content-type": "application/vnd.apache.parquet"}

        def table(frame: pd.DataFrame) -> Any:
            body = frame.to_parquet(index=False)
            return client.post(f"/v1/forecasts?cutoff={CUTOFF}", content=body, headers=headers)

        compared(pd.DataFrame(table(lines).json()["forecasts"]), batch)
        without = table(lines.drop(columns="attribute_level"))
        assert without.status_code == 422
        assert without.json()["error"]["faults"][0]["path"] == "attribute_level"
        mixed = lines.assign(attribute_level=[f"secret {k}" for k in range(len(lines))])
        assert table(mixed).status_code == 422
        assert "secret" not in table(mixed).text


@pytest.mark.parametrize(
    ("told", "path", "rule"),
    [
        (None, "", "is required, with any of country, level, points, signed_up"),
        ({"land": "GB"}, ".land", "is no attribute of this model"),
        ({"country": 3}, ".country", "must be text"),
        ({"country": {"a": []}}, ".country", "must be text"),
        ({"country": "x" * 1_001}, ".country", "at most 1000 characters"),
        ({"points": "3"}, ".points", "must be a number"),
        ({"points": True}, ".points", "must be a number"),
        ({"points": 10**400}, ".points", "must be finite"),
        ({"points": float("nan")}, ".points", "must be finite"),
        ({"signed_up": "soon-7391"}, ".signed_up", "must be ISO 8601"),
        ({"signed_up": "2020-02-30"}, ".signed_up", "must be a date of the calendar"),
        ({"signed_up": "2020-02-03T10:00:00Z"}, ".signed_up", "must carry no offset"),
    ],
)
def test_what_is_told_wrongly_is_named(
    model: clvcast.Model, told: Any, path: str, rule: str
) -> None:
    payloads = needed("clvcast.serve.rest.handlers")
    from clvcast.serve.rest.errors import Refusal
    from clvcast.serve.rest.request_limits import Limits

    optional = dict.fromkeys(model.numbers.optional_columns)
    one = {"customer_id": "c", "orders": [{"ordered_at": "2020-05-06", "amount": 1.0, **optional}]}
    asked: dict[str, Any] = one if told is None else one | {"attributes": told}
    body = json.dumps({"cutoff": CUTOFF, "customers": [asked]}).encode()
    with pytest.raises(Refusal) as refused:
        payloads.answer_json(model, body, Limits())
    (fault,) = refused.value.faults
    assert fault["path"] == f"customers[0].attributes{path}"
    assert rule in fault["rule"]
    assert "7391" not in str(refused.value.respond("v", "r").body)
    with pytest.raises(
        OrdersError, match="needs the customer attributes" if told is None else rule
    ):
        model.score_one(asked["orders"], CUTOFF, "c", told)


def test_a_model_without_attributes_takes_none_of_a_customer(shop_model: clvcast.Model) -> None:
    payloads = needed("clvcast.serve.rest.handlers")
    from clvcast.serve.rest.errors import Refusal
    from clvcast.serve.rest.request_limits import Limits

    optional = dict.fromkeys(shop_model.numbers.optional_columns)
    lines = [{"ordered_at": "2020-05-06", "amount": 1.0, **optional}]
    with pytest.raises(OrdersError, match="the model learned from none; leave them out"):
        shop_model.score_one(lines, CUTOFF, attributes={"country": "GB"})
    asked = {"customer_id": "c", "orders": lines, "attributes": {"country": "GB"}}
    body = json.dumps({"cutoff": CUTOFF, "customers": [asked]}).encode()
    with pytest.raises(Refusal) as refused:
        payloads.answer_json(shop_model, body, Limits())
    assert refused.value.faults[0]["path"] == "customers[0].attributes"


@pytest.fixture
def config(facts: pd.DataFrame, shop_lines: pd.DataFrame, tmp_path: Path) -> Path:
    facts.to_parquet(tmp_path / "facts.parquet")
    shop_lines.to_parquet(tmp_path / "orders.parquet")
    path = tmp_path / "shop.yaml"
    path.write_text(
        f"orders: {{source: {tmp_path}/orders.parquet}}\nhorizon_days: 60\nperiods: 3\n"
        "effort: quick\ncustomers: "
        f"{{source: {tmp_path}/facts.parquet, valid_from: since, columns: "
        "{customer_id: id, country: land, level: level, points: points, signed_up: joined}, "
        "types: {points: number, signed_up: date}}\n"
        f'tracking: {{uri: "sqlite:///{tmp_path}/mlflow.db"}}\n'
    )
    return path


@pytest.mark.slow
def test_a_configuration_names_them(
    config: Path, model: clvcast.Model, tmp_path: Path, run: Run
) -> None:
    settings = clvcast.load_config(config)
    trained = clvcast.train(tmp_path / "orders.parquet", settings, CUTOFF)
    assert trained.version == model.version
    assert str(tmp_path).encode() not in b"".join(trained.files().values())
    model.save(tmp_path / "bundle")
    output = tmp_path / "f.parquet"
    arguments = ("score", "--model", tmp_path / "bundle", "--config", config, "--output", output)
    assert run(*arguments, "--cutoff", CUTOFF)[0] == 0
    expected = clvcast.score(model, clvcast.read_orders(settings), CUTOFF)
    pd.testing.assert_frame_equal(pd.read_parquet(output), expected, check_exact=True)
    status, out, _ = run("check", config, "--audit")
    assert status == 0
    assert "later facts removed and corrupted" in out


@pytest.mark.slow
def test_the_registry_keeps_a_model_with_attributes(
    config: Path, model: clvcast.Model, tmp_path: Path, run: Run, orders: clvcast.Orders
) -> None:
    import mlflow

    status, out, err = run("train", config, "--cutoff", CUTOFF)
    assert status == 0, err
    assert model.version in out
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    nested = clvcast.nest(orders, CUTOFF).head(20)
    found = mlflow.pyfunc.load_model("models:/clv@champion").predict(nested)
    expected = NestedModel(model).predict(nested)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


@pytest.mark.slow
def test_mlflow_takes_them_nested(model: clvcast.Model, orders: clvcast.Orders) -> None:
    from mlflow.models.utils import _enforce_schema

    from clvcast.train.registry.mlflow_store import build_signature

    rows = clvcast.nest(orders, CUTOFF).head(40)
    signature = build_signature(model)
    enforced = _enforce_schema(rows, signature.inputs)
    pd.testing.assert_frame_equal(
        NestedModel(model).predict(enforced), NestedModel(model).predict(rows), check_exact=True
    )


def test_what_is_not_known_is_counted(
    model: clvcast.Model, shop_lines: pd.DataFrame, facts: pd.DataFrame
) -> None:
    assert model.numbers.attributes is not None
    cutoff = dates.parse_instant(CUTOFF)
    strange = joined(shop_lines, facts.assign(land="Mars", level="gold"))
    told = count_missing_attributes(strange, model.numbers.attributes, cutoff).sentences()
    ids = windows.slice_observed(strange, cutoff).customer_ids.to_pylist()
    n = len(ids)
    known = facts[(facts["since"] < CUTOFF) & facts["id"].isin(ids)]["id"].nunique()
    sentence = (
        f"country is missing for {n - known:,} and has a label the model does not know (taken as "
        f"other) for {known:,} of {n:,} customers"
    )
    assert sentence in told
    with pytest.warns(UserWarning, match="country is missing for"):
        forecast = clvcast.score(model, strange, CUTOFF)
    assert np.isfinite(forecast["clv"]).all()


def test_a_table_of_features_holds_the_labels(orders: clvcast.Orders, facts: pd.DataFrame) -> None:
    table = clvcast.build_features(orders, ["2020-07-15", CUTOFF])
    own = table[(table["customer_id"] == "C00009") & (table["cutoff"] == CUTOFF)].iloc[0]
    fact = (
        facts[(facts["id"] == "C00009") & (facts["since"] < CUTOFF)].sort_values("since").iloc[-1]
    )
    assert (own["attribute_country"], own["attribute_level"]) == (fact["land"], fact["level"])
    assert own["attribute_points"] == np.float32(fact["points"])


def test_nest_takes_a_table_with_our_names(
    orders: clvcast.Orders, shop_orders: clvcast.Orders, facts: pd.DataFrame
) -> None:
    ours = {"id": "customer_id", "land": "country", "joined": "signed_up", "since": "valid_from"}
    nested = clvcast.nest(shop_orders, CUTOFF, facts.rename(columns=ours))
    expected = clvcast.nest(orders, CUTOFF)
    assert nested["attributes"].tolist() == expected["attributes"].tolist()
    for wrong in (facts, facts[["id"]].rename(columns=ours)):
        with pytest.raises(OrdersError, match="a table of customers must"):
            clvcast.nest(shop_orders, CUTOFF, wrong)


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(0, 10))
def test_newest_before_is_what_a_person_would_pick(days: list[int], cutoff: int) -> None:
    times = np.sort(np.array(days, dtype=np.int64))
    starts = np.array([0, 0, len(times)], dtype=np.int64)
    found = windows.find_newest_before(times, starts, np.array([cutoff], dtype=np.int64))
    earlier = [k for k, day in enumerate(times) if day < cutoff]
    assert found.tolist() == [[-1], [max(earlier, default=-1)]]


def lines() -> clvcast.Orders:
    frame = pd.DataFrame(
        {"customer_id": ["a", "b"], "ordered_at": ["2020-01-01"] * 2, "amount": [1.0, 2.0]}
    )
    return read_table(frame, OrdersConfig())


def test_bad_rows_are_set_aside_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    rows = [f"x{k},GB,1,2020-01-01" for k in range(50)]
    path.write_text(
        "\n".join(
            ["customer_id,country,points,since", *rows, "a,FR,many,2020-01-01", ",GB,1,", "b,GB,2,"]
        )
    )
    config = CustomersConfig(
        columns={"customer_id": "customer_id", "country": "country", "points": "points"},
        types={"points": "number"},
        valid_from="since",
    )
    orders = clvcast.join_customers(lines(), path, config)
    remarks = " | ".join(orders.report.remarks)
    assert "taken as missing: points must be a number: 1 line (rows 51), such as 'many'" in remarks
    assert "2 rows without customer or date are set aside" in remarks
    assert "nothing is known of 1 of 2 customers with orders" in remarks
    assert orders.attributes is not None
    assert orders.attributes.texts["country"].to_text().to_pylist() == ["FR"]


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        (
            {"id": ["a", "a"], "land": ["GB", "FR"]},
            {},
            "in 1 row the facts contradict an earlier row",
        ),
        ({"id": ["a"], "land": [7]}, {}, r"set customers\.types: \{country: number\}, or text"),
        ({"id": ["a"], "land": pd.to_datetime(["2020-01-01"])}, {}, r"\{country: date\}, or text"),
        ({"id": ["a"], "Land": ["GB"]}, {}, "'land' for country is missing; did you mean Land"),
        ({"id": ["a"], "land": [b"x"]}, {}, "must hold text, numbers or dates, got binary"),
        ({"id": ["a"], "land": ["x"]}, {"country": "date"}, "land must be a date: 1 line"),
    ],
)
def test_customers_that_cannot_be_read(
    table: dict[str, Any], change: dict[str, str], message: str
) -> None:
    config = CustomersConfig.model_validate(
        {"columns": {"customer_id": "id", "country": "land"}, "types": change}
    )
    with pytest.raises(OrdersError, match=message):
        clvcast.join_customers(lines(), pd.DataFrame(table), config)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{source: c.csv}", r"customers\.columns is required"),
        ("{columns: {customer_id: id}}", "must map customer_id and at least one attribute"),
        ("{columns: {customer_id: id, Land: land}}", "must name attributes like country"),
        ("{columns: {customer_id: id, a: b}, types: {c: date}}", "types must be of attributes"),
        ("{columns: {customer_id: id, a: b}, types: {a: day}}", r"customers\.types\.a should be"),
        ("{colums: {customer_id: id}}", "unknown key customers.colums; did you mean columns"),
    ],
)
def test_a_wrong_configuration_of_customers(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(f"customers: {text}")


def test_nested_attributes_that_do_not_fit(model: clvcast.Model, orders: clvcast.Orders) -> None:
    rows = clvcast.nest(orders, CUTOFF).head(2)
    door = NestedModel(model)
    cases: dict[str, list[Any]] = {
        "attributes must have named fields": [3, 4],
        "unknown attribute 'land'; known are country": [{"land": "GB"}, None],
        "the attribute points must be a number": [{"points": "many"}, None],
        "the attribute country must be text": [{"country": 3}, None],
        "joined must be a date|signed_up must be a date": [{"signed_up": "soon"}, None],
    }
    for message, told in cases.items():
        reasons = door.predict(rows.assign(attributes=told))["reason"]
        assert re.search(message, reasons[0])
        assert (reasons[1] is None) == (told[1] is None)
    with pytest.raises(OrdersError, match="the model needs the customer attributes country"):
        door.predict(rows.drop(columns="attributes"))
    nothing = door.predict(rows.assign(attributes=[None, {}]))  # type: ignore[list-item]
    assert np.isfinite(nothing["clv"]).all()


def test_a_model_without_attributes_leaves_them_alone(
    shop_model: clvcast.Model, orders: clvcast.Orders, shop_orders: clvcast.Orders
) -> None:
    pd.testing.assert_frame_equal(
        clvcast.score(shop_model, orders), clvcast.score(shop_model, shop_orders), check_exact=True
    )
    with pytest.raises(ConfigError, match="customers were given, and nothing says"):
        clvcast.score(shop_model, shop_orders, customers=pd.DataFrame({"id": ["a"]}))
    assert orders.digest() != shop_orders.digest()
    without = dataclasses.replace(orders, attributes=None)
    assert without.digest() == shop_orders.digest()
