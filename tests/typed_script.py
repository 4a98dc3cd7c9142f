"""A user's typed script: mypy --strict and pyright check it against the installed package; a test
runs it.
"""

from __future__ import annotations

import random
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Literal, assert_type

import pandas as pd

import clvcast

COLUMNS = {"customer_id": "client", "ordered_at": "at", "amount": "amount", "channel": "channel"}


def write_orders(path: Path) -> None:
    """Orders of 200 customers over 400 days, with gaps that differ from customer to customer."""
    draw = random.Random(0)
    lines = ["client,at,amount,channel"]
    for customer in range(200):
        gap_days = draw.uniform(10, 90)
        day = draw.uniform(0, 200)
        while day < 400:
            at = datetime(2020, 1, 1) + timedelta(days=day)
            amount = f"{draw.uniform(10, 100):.2f}"
            lines.append(f"C{customer:03},{at:%Y-%m-%d %H:%M},{amount},web")
            day += draw.expovariate(1 / gap_days)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def find_best_customer(forecast: pd.DataFrame) -> str:
    """The customer with the highest CLV."""
    return str(forecast.sort_values("clv", ascending=False)["customer_id"].iloc[0])


def main(folder: Path) -> None:
    """Use the main public names, each with the types a user would write down."""
    write_orders(folder / "orders.csv")
    orders = clvcast.read_orders(folder / "orders.csv", columns=COLUMNS)
    assert_type(orders, clvcast.Orders)

    config = clvcast.Config(horizon_days=30, effort="quick")
    assert_type(config, clvcast.Config)
    assert_type(config.horizon_days, int)
    assert_type(config.economics.margin_rate, float | Literal["measured"] | None)

    features = clvcast.build_features(orders, ["2020-10-01", date(2020, 11, 1)])
    assert_type(features, pd.DataFrame)

    trained = clvcast.train(orders, config, cutoff=datetime(2021, 1, 1))
    assert_type(trained, clvcast.Model)
    trained.save(folder / "bundle")
    model = clvcast.load_model(folder / "bundle")
    assert_type(model, clvcast.Model)
    assert_type(model.version, str)

    forecast = clvcast.score(model, orders, cutoff="2021-01-01")
    assert_type(forecast, pd.DataFrame)
    assert find_best_customer(forecast).startswith("C")
    assert_type(clvcast.total(forecast), pd.DataFrame)

    today = date.today()
    line = {"ordered_at": today - timedelta(days=9), "amount": 20.0, "channel": "web"}
    one = model.score_one([line], today, customer_id="me")
    assert_type(one, clvcast.Forecast)
    assert_type(one.clv, float)
    assert_type(one.churn_probability, float)
    assert_type(one.n_orders, int)
    assert_type(one.tier, str)
    assert_type(one.expected_next_order_at, datetime | None)

    kpis = clvcast.kpis(forecast, orders, config)
    assert_type(kpis.measures, pd.DataFrame)
    lists = clvcast.lists(forecast, orders, config)
    assert_type(lists.summary, pd.DataFrame)
    spend = pd.DataFrame({"channel": ["web"], "month": ["2020-06"], "spend": [500.0]})
    economics = clvcast.economics(forecast, orders, spend, config)
    assert_type(economics.acquisition, pd.DataFrame)
    assert_type(economics.remarks, tuple[str, ...])

    try:
        clvcast.load_model(folder / "no-bundle")
    except clvcast.BundleError as error:
        assert_type(error.exit_status, int)
    except (clvcast.ConfigError, clvcast.OrdersError, clvcast.StoreError) as error:
        raise SystemExit(str(error)) from error
    sys.stdout.write(f"clvcast {clvcast.__version__}: {len(forecast)} forecasts\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
