"""The dictionary beside the tables: every column of every table, with its basis."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from forecast_files import forecast_file

import clvcast
from clvcast.configs.schema import parse_config
from clvcast.models.forecast_terms import ForecastTerms

CONFIG = parse_config("{economics: {margin_rate: 0.4}, orders: {currency: EUR}}")


def test_every_column_of_every_file_is_defined(shop_orders: clvcast.Orders, tmp_path: Path) -> None:
    forecasts = forecast_file(shop_orders, "2020-12-01", CONFIG)
    past = forecast_file(shop_orders, "2020-09-01", CONFIG)
    spend = pd.DataFrame({"channel": ["web"], "month": ["2020-06"], "spend": [10.0]})
    clvcast.kpis(forecasts, shop_orders, CONFIG).save(tmp_path / "kpis")
    clvcast.economics(forecasts, shop_orders, spend, CONFIG, past).save(tmp_path / "economics")
    clvcast.lists(forecasts, shop_orders, CONFIG, past).save(tmp_path / "lists")
    terms = ForecastTerms(
        **CONFIG.model_dump(include={"horizon_days", "periods", "target"}),
        margin_rate=0.4,
        margin_source="stated",
        annual_discount_rate=0.1,
        currency="EUR",
    )
    for file in (past, forecasts):
        file.attrs |= terms.attributes()
    clvcast.compare(past, forecasts, orders=shop_orders, by="tier").save(tmp_path / "compare")
    clvcast.monitor(past, shop_orders).save(tmp_path / "monitor")
    for folder in ("kpis", "economics", "lists", "compare", "monitor"):
        dictionary = pd.read_csv(tmp_path / folder / "dictionary.csv").set_index("table")
        files = {path.stem: path for path in (tmp_path / folder).glob("*.csv")}
        assert set(dictionary.index) == set(files) - {"dictionary"}
        for name in set(files) - {"dictionary"}:
            columns = dictionary.loc[[name], "column"].tolist()
            assert columns == list(pd.read_csv(files[name]).columns)
        money = dictionary[dictionary["unit"] == "EUR"]
        assert len(money)
        assert set(money["basis"]) <= {"revenue", "margin", "cost", "stated"}
        own = money.set_index("column")["basis"]
        for column in {"clv", "ltv_forecast", "most_to_keep_one", "amount"} & set(own.index):
            assert set(own.loc[[column]]) == {"margin"}
