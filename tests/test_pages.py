"""The server's page: its selections are those of clvcast.total, its reasons those of
clvcast.explain.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from browser import SHOTS, chromium, violations
from conftest import missing

import clvcast
from clvcast.configs.schema import EconomicsConfig, OrdersConfig
from clvcast.decisions.report.number_format import NumberFormat
from clvcast.orders.cutoffs import get_default_cutoff
from clvcast.orders.order_table import build_order_table

try:
    from servers import serving

    from clvcast.serve.rest.auth import read_tokens
    from clvcast.serve.rest.explorer import create_explorer
    from clvcast.serve.rest.model_holder import ModelHolder
    from clvcast.serve.rest.settings import Settings
except ModuleNotFoundError:
    missing("the serve extra")

TOKEN = "page-token-0123456789"
ENGLISH = NumberFormat("GBP")


@pytest.fixture(scope="module")
def config(shop_config: clvcast.Config) -> clvcast.Config:
    return shop_config.model_copy(update={"orders": OrdersConfig(currency="GBP")})


@pytest.fixture(scope="module")
def forecasts(shop_model: clvcast.Model, shop_orders: clvcast.Orders) -> pd.DataFrame:
    return clvcast.score(shop_model, shop_orders)


@pytest.fixture(scope="module")
def files(
    forecasts: pd.DataFrame, shop_lines: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("page")
    forecasts.to_parquet(folder / "forecasts.parquet")
    shop_lines.to_parquet(folder / "orders.parquet")
    return folder / "forecasts.parquet", str(folder / "orders.parquet")


@pytest.fixture(scope="module")
def client(
    shop_model: clvcast.Model, files: tuple[Path, str], config: clvcast.Config
) -> Iterator[httpx.Client]:
    pages = [create_explorer(*files, shop_model, Settings(), config)]
    with serving(ModelHolder(shop_model), pages=pages) as found:
        yield found


def listed(client: httpx.Client, **asked: str) -> dict[str, Any]:
    answer = client.get("/explore/customers", params=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_the_page_is_the_report_of_the_loaded_forecasts(
    client: httpx.Client, forecasts: pd.DataFrame
) -> None:
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["cache-control"] == "no-store"
    assert ENGLISH.money(clvcast.total(forecasts)["expected"].iloc[0]) in page.text
    assert 'id="explore"' in page.text


def test_selections_are_counted_and_summed_as_total_does(
    client: httpx.Client, forecasts: pd.DataFrame
) -> None:
    for dimension in ("tier", "risk", "rfm_segment"):
        for name, row in clvcast.total(forecasts, by=dimension).iterrows():
            told = listed(client, **{dimension: str(name)})["summary"]
            assert told.startswith(ENGLISH.count(row["customers"], "customer"))
            assert ENGLISH.money(row["expected"]) in told
            assert ENGLISH.money_range(row["lower"], row["upper"]) in told
    whole = clvcast.total(forecasts).iloc[0]
    assert ENGLISH.money_range(whole["lower"], whole["upper"]) in listed(client)["summary"]


def test_pages_hold_every_customer_once_best_first(
    client: httpx.Client, forecasts: pd.DataFrame
) -> None:
    chosen = forecasts[(forecasts["risk"] == "high") & (forecasts["tier"] == "low")]
    first = listed(client, risk="high", tier="low")
    assert first["pages"] == -(-len(chosen) // 25) > 1
    rows = [
        row
        for page in range(first["pages"] + 1)
        for row in listed(client, risk="high", tier="low", page=str(page))["rows"]
    ]
    best_first = chosen.sort_values(["clv", "customer_id"], ascending=[False, True])
    assert [row[0] for row in rows] == best_first["customer_id"].tolist()


def test_channels_are_those_of_the_first_order(
    client: httpx.Client, forecasts: pd.DataFrame, shop_lines: pd.DataFrame
) -> None:
    columns = [heading for heading, _ in listed(client)["headings"]]
    rows = listed(client, channel="web")["rows"]
    assert {row[columns.index("channel")] for row in rows} == {"web"}


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"tier": "best"}, 422),
        ({"colour": "red"}, 422),
        ({"page": "-1"}, 422),
        ({"page": "x"}, 422),
    ],
)
def test_what_cannot_be_chosen_is_told(
    client: httpx.Client, asked: dict[str, str], status: int
) -> None:
    answer = client.get("/explore/customers", params=asked)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_a_card_has_the_forecast_the_reasons_and_the_orders(
    client: httpx.Client,
    forecasts: pd.DataFrame,
    shop_model: clvcast.Model,
    shop_orders: clvcast.Orders,
) -> None:
    silent = forecasts.sort_values("days_since_last_order").iloc[-1]  # a horizon and more
    for row in (forecasts.sort_values("clv").iloc[-1], silent):
        name = row["customer_id"]
        card = client.get("/explore/customer", params={"id": name}).json()
        assert card["facts"][0][1] == ENGLISH.money(row["clv"])
        assert card["facts"][0][2].endswith(ENGLISH.money_range(row["clv_lower"], row["clv_upper"]))
        days = int(row["days_since_last_order"])
        assert card["facts"][5][2] == f"the last {ENGLISH.count(days, 'day')} ago"
        why = clvcast.explain(shop_model, shop_orders, customers=[name], by="group")
        assert card["reasons"]["rows"] == [
            [
                meaning,
                ENGLISH.number(value, 2),
                ENGLISH.number(typical, 2),
                ENGLISH.number(amount),
            ]
            for meaning, value, typical, amount in zip(
                why["meaning"], why["value"], why["typical"], why["amount"], strict=True
            )
        ]
        assert card["reasons"]["headings"][-1] == ["revenue, GBP", True]
        entries = build_order_table(shop_orders, get_default_cutoff(shop_orders))
        position = shop_orders.customer_ids.to_pylist().index(name)
        assert len(card["history"]["rows"]) == int(
            entries.starts[position + 1] - entries.starts[position]
        )
    assert client.get("/explore/customer", params={"id": "nobody"}).status_code == 404


@pytest.mark.parametrize("differs", ["model", "margin"])
def test_another_model_or_margin_leaves_the_reasons_out_and_says_so(
    files: tuple[Path, str],
    shop_model: clvcast.Model,
    config: clvcast.Config,
    forecasts: pd.DataFrame,
    differs: str,
) -> None:
    import dataclasses

    if differs == "model":
        blend = shop_model.numbers.blend.model_copy(update={"typical_order_value": 1.0})
        numbers = shop_model.numbers.model_copy(update={"blend": blend})
        other = dataclasses.replace(shop_model, numbers=numbers)
        said = "the forecasts were made by model"
    else:  # its CLV would be another one than the card's
        other = shop_model.with_config(
            config.model_copy(update={"economics": EconomicsConfig(margin_rate=0.4)})
        )
        said = "the forecasts have economics.margin_rate 1.0, the server"
    with serving(
        ModelHolder(other), pages=[create_explorer(*files, other, Settings(), config)]
    ) as client:
        assert ("got model" in client.get("/").text) == (differs == "model")
        name = forecasts["customer_id"].iloc[0]
        card = client.get("/explore/customer", params={"id": name}).json()
    assert card["reasons"]["rows"] == []
    assert card["note"].startswith(f"Reasons are not available: {said}")


def test_off_loopback_a_token_is_asked_for_once_and_kept_where_no_script_reads_it(
    files: tuple[Path, str], shop_model: clvcast.Model, config: clvcast.Config
) -> None:
    tokens = read_tokens(None, None, {"CLVCAST_TOKENS": TOKEN})
    settings = Settings(host="0.0.0.0", tokens=tokens)
    pages = [create_explorer(*files, shop_model, settings, config)]
    with serving(ModelHolder(shop_model), settings, pages) as client:
        shut = client.get("/")
        assert (shut.status_code, shut.headers["location"]) == (303, "/login")
        assert client.get("/explore/customers").status_code == 401
        assert client.get("/explore/customer", params={"id": "x"}).status_code == 401
        assert 'name="token"' in client.get("/login").text
        assert client.post("/login", data={"token": "no-token-0123456789"}).status_code == 401
        entered = client.post("/login", data={"token": TOKEN})
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        cookie = entered.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert client.get("/").status_code == 200  # the client keeps cookies as a browser does
        assert listed(client)["rows"]
        # the cookie opens pages, nothing that changes anything
        assert client.get("/v1/model").status_code == 401


def test_flags_of_serve_belong_together(
    run: Any, shop_model: clvcast.Model, tmp_path: Path
) -> None:
    shop_model.save(tmp_path / "bundle")
    status, _, err = run("serve", "--model", tmp_path / "bundle", "--forecasts", "f.parquet")
    assert status == 2
    assert "--forecasts and --orders belong together" in err


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_filters_filter_and_a_card_opens_in_a_browser(client: httpx.Client, scheme: str) -> None:
    with chromium() as browser:
        context = browser.new_context(
            viewport={"width": 1280, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        page = context.new_page()
        troubles: list[str] = []
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(str(client.base_url))
        page.wait_for_selector("#filters[data-shown]")
        page.locator("#filters select[name=tier]").select_option("high")
        page.wait_for_selector("#filters[data-shown='2']")
        expected = listed(client, tier="high")
        assert page.locator("#summary").inner_text() == expected["summary"]
        shown = page.locator("#customers tbody th").all_inner_texts()
        assert shown == [row[0] for row in expected["rows"]]
        page.locator("#customers tbody button").first.press("Enter")
        page.wait_for_selector("#card-chart svg.main-svg")
        assert page.locator("#card-title").inner_text() == f"Customer {shown[0]}"
        assert page.locator("#reasons tbody tr").count() >= 3
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        assert violations(page) == []
        page.evaluate("document.getElementById('explore').scrollIntoView()")
        page.screenshot(path=SHOTS / f"explore-{scheme}.png")
        page.evaluate("document.getElementById('card').scrollIntoView()")
        page.screenshot(path=SHOTS / f"card-{scheme}.png")
        assert troubles == []
        context.close()
