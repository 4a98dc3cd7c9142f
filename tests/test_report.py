"""The report: its numbers are those of kpis, lists and total; its sentences follow them; bad input
is told.
"""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import Run
from forecast_files import forecast_file

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.decisions.report import charts, headlines
from clvcast.decisions.report.build import Report, evaluation_report
from clvcast.decisions.report.colours import PAIRS
from clvcast.decisions.report.number_format import UNKNOWN, NumberFormat
from clvcast.decisions.report.page_model import Chart
from clvcast.evaluation.backtest_frames import Evaluation

CUTOFF = "2020-12-01"
ENGLISH = NumberFormat("GBP")


@pytest.fixture(scope="module")
def config(shop_config: clvcast.Config) -> clvcast.Config:
    return shop_config.model_copy(update={"orders": OrdersConfig(currency="GBP")})


@pytest.fixture(scope="module")
def forecasts(shop_orders: clvcast.Orders, config: clvcast.Config) -> pd.DataFrame:
    return forecast_file(shop_orders, CUTOFF, config)


@pytest.fixture(scope="module")
def made(forecasts: pd.DataFrame, shop_orders: clvcast.Orders, config: clvcast.Config) -> Report:
    return clvcast.report(forecasts, shop_orders, config)


def chart(report: Report, name: str) -> Chart:
    sections = (*report.business, *report.science)
    (found,) = [chart for section in sections for chart in section.charts if chart.name == name]
    return found


def cells(chart_: Chart, heading: str) -> dict[str, str]:
    """A column of a chart's table, by the row's name."""
    headings = [column.heading for column in chart_.table.columns]
    return {row[0]: row[headings.index(heading)] for row in chart_.table.rows}


class Outline(HTMLParser):
    """What a screen reader goes by: tags with their attributes, and the text of headings."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def test_spend_by_period_is_drawn_where_the_file_has_it(
    made: Report, forecasts: pd.DataFrame, shop_orders: clvcast.Orders, config: clvcast.Config
) -> None:
    names = [chart.name for section in made.business for chart in section.charts]
    assert "periods" not in names
    spends = {f"spend_period_{k}": forecasts["expected_spend"] / k for k in range(1, 4)}
    wide = forecasts.assign(**spends)
    drawn = chart(clvcast.report(wide, shop_orders, config), "periods")
    assert drawn.finding == "Period 3 is expected to bring 33% of period 1"
    total = float(forecasts["expected_spend"].sum())
    assert drawn.figure is not None
    (bars,) = drawn.figure.data
    assert list(bars.y) == pytest.approx([total, total / 2, total / 3])
    assert len(drawn.table.rows) == 3


def test_the_numbers_are_those_of_total_kpis_and_lists(
    made: Report, forecasts: pd.DataFrame, shop_orders: clvcast.Orders, config: clvcast.Config
) -> None:
    """One computation: whatever the page says is what Python and the command line say."""
    whole = clvcast.total(forecasts).iloc[0]
    assert made.facts[0].value == ENGLISH.money(whole["expected"])
    assert made.facts[0].note.endswith(ENGLISH.money_range(whole["lower"], whole["upper"]))
    measures = clvcast.kpis(forecasts, shop_orders, config).measures
    for dimension, name in (
        ("rfm_segment", "rfm_segment"),
        ("cohort", "cohorts"),
        ("tier", "tiers"),
    ):
        rows = measures[measures["dimension"] == dimension].set_index("group")
        shown = cells(chart(made, name), "expected CLV, revenue, GBP")
        for group, row in rows.iterrows():
            assert shown[str(group)] == ENGLISH.cell(float(row["clv_total"]), "money")
    lists = clvcast.lists(forecasts, shop_orders, config)
    stakes = cells(chart(made, "lists"), "at stake, GBP")
    assert stakes == {
        row["list"]: ENGLISH.cell(float(row["value_at_stake"]), "money")
        for row in lists.summary.to_dict("records")
    }
    keep = cells(chart(made, "budget"), "maximum for all, revenue, GBP")
    budget = lists.budget[lists.budget["dimension"] == "rfm_segment"].set_index("group")
    assert keep == {
        str(group): ENGLISH.cell(float(value), "money")
        for group, value in budget["most_to_keep_all"].items()
    }


def test_bounds_are_called_bounds_and_circular_churn_is_not_shown(made: Report) -> None:
    sections = {section.name: section for section in made.business}
    lead = " ".join(sections["levers"].lead)
    assert "One point less churn adds at most" in lead
    assert "at most" in " ".join(sections["risk-of-leaving"].lead)
    budget = chart(made, "budget")
    assert "at most" in budget.finding
    assert budget.note.startswith("Upper bounds")
    stakes = cells(chart(made, "lists"), "stake")
    assert stakes["win_back"] == "CLV a sure order adds"
    assert stakes["vip"] == "CLV"
    names = {row[0] for row in chart(made, "formula").table.rows}
    assert {"the shop", "channel web"} <= names
    assert not names & {"high tier", "Champions"}


def test_tiers_by_risk_add_up_to_the_whole(made: Report, forecasts: pd.DataFrame) -> None:
    figure = chart(made, "risk").figure
    assert figure is not None
    drawn = sum(float(sum(trace.x)) for trace in figure.data)
    assert drawn == pytest.approx(forecasts["clv"].sum(), rel=1e-12)


def test_no_customer_is_named_unless_asked_for(
    made: Report, forecasts: pd.DataFrame, shop_orders: clvcast.Orders, config: clvcast.Config
) -> None:
    anybody = re.compile(r"\bC\d{5}\b")
    assert forecasts["customer_id"].map(lambda name: bool(anybody.fullmatch(name))).all()
    before = forecast_file(shop_orders, "2020-10-01", config)
    changed = clvcast.report(forecasts, shop_orders, config, previous=before)
    for report in (made, changed):
        assert not anybody.search(_body(report.html))
    named = clvcast.report(forecasts, shop_orders, config, with_ids=True)
    best = clvcast.lists(forecasts, shop_orders, config).contacts["vip"]["customer_id"][0].as_py()
    assert best in _body(named.html)


def _body(page: str) -> str:
    """The page without the drawing library."""
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def test_one_file_under_six_megabytes_that_asks_for_nothing_else(made: Report) -> None:
    page = made.html
    assert len(page.encode()) < 6_000_000
    for _, attributes in Outline(_body(page)).tags:
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert "default-src 'none'" in policy[1]


def test_every_chart_has_a_finding_a_unit_and_a_table(made: Report) -> None:
    for section in (*made.business, *made.science):
        for each in section.charts:
            assert len(each.finding.split()) >= 3, each.name
            assert each.table.caption
            assert each.table.rows or not each.table.columns[1:], each.name
            if each.figure is not None and each.name != "retention":
                titles = (each.figure.layout.xaxis.title.text, each.figure.layout.yaxis.title.text)
                assert any(titles), each.name


def test_the_page_has_landmarks_headings_and_captions(made: Report) -> None:
    outline = Outline(_body(made.html))
    assert [outline.count(tag) for tag in ("main", "nav", "header", "footer", "h1")] == [1] * 5
    n_charts = sum(len(section.charts) for section in (*made.business, *made.science))
    assert (
        outline.count("caption") == outline.count("table") == outline.count("details") == n_charts
    )
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for tag, attributes in outline.tags:
        if attributes.get("role") == "img":
            assert attributes["aria-label"]
        if tag == "a":
            assert (attributes["href"] or "").removeprefix("#") in ids


def test_text_has_contrast_in_both_themes() -> None:
    """WCAG 2.2: text 4.5 to what it stands on."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for theme in (0, 1):
        for text, ground in (
            ("ink", "paper"),
            ("muted", "paper"),
            ("accent", "paper"),
            ("ink", "faint"),
            ("ink", "soft"),
        ):
            light, dark = sorted(
                (luminance(PAIRS[text][theme]), luminance(PAIRS[ground][theme])), reverse=True
            )
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground, theme)


@pytest.mark.parametrize(
    ("locale", "money", "share"),
    [  # Unicode CLDR, decimal and group of the locale's latn numbers
        ("en", "1,234,567.50", "12.5%"),
        ("de", "1.234.567,50", "12,5\u00a0%"),
        ("de-CH", "1’234’567.50", "12.5%"),
        ("fr", "1\u202f234\u202f567,50", "12,5\u202f%"),
        ("sv", "1\u00a0234\u00a0567,50", "12,5\u00a0%"),
        ("pt-BR", "1.234.567,50", "12,5%"),
    ],
)
def test_numbers_are_written_as_the_locale_writes_them(locale: str, money: str, share: str) -> None:
    writing = NumberFormat("EUR", locale)  # type: ignore[arg-type]
    assert writing.number(1_234_567.5, 2) == money
    assert writing.share(0.125, 1) == share
    assert charts.draw_bars(["a"], [1.0], writing, "EUR").layout.separators == writing.separators


@pytest.mark.parametrize(
    ("value", "brief", "said"),
    [
        (999_446.0, "999\u00a0k", "999,446 GBP"),
        (4_200.0, "4,200", "4,200 GBP"),
        (5_314_547.0, "5.31\u00a0M", "5.31 million GBP"),
        (2.5e9, "2.50\u00a0bn", "2.50 billion GBP"),
        (-210_530.0, "-211\u00a0k", "-210,530 GBP"),
        (-0.2, "0", "0 GBP"),
        (np.nan, UNKNOWN, UNKNOWN),
    ],
)
def test_short_amounts_keep_their_size(value: float, brief: str, said: str) -> None:
    assert (ENGLISH.brief(value), ENGLISH.money(value)) == (brief, said)


def test_findings_say_what_the_numbers_say() -> None:
    tiers = pd.DataFrame(
        {
            "group": ["high", "medium", "low"],
            "customers": [1, 3, 6],
            "clv_total": [50.0, 30.0, 20.0],
        }
    )
    assert headlines.describe_tiers(tiers, ENGLISH) == (
        "1 customer, 10% of all, brings 50% of the expected value"
    )
    assert headlines.describe_largest_group(tiers, "tier", ENGLISH) == (
        "Most comes from high: 50% of the expected value, 50 GBP"
    )
    risks = tiers.assign(group=["low", "medium", "high"])
    assert headlines.describe_risk(risks, ENGLISH) == (
        "50 GBP, 50% of the expected value, rests on 9 customers at medium or high risk"
    )
    rising = pd.Series([np.nan, 0.4, 0.31])
    assert (
        headlines.describe_lever("Churn", rising, ENGLISH, is_share=True)
        == "Churn fell from 40% to 31%"
    )
    assert headlines.describe_lever(
        "Order value", pd.Series([100.0, 106.0]), ENGLISH, is_share=False
    ) == ("Order value rose by 6%")
    assert "not known" in headlines.describe_lever("Churn", rising[:2], ENGLISH, is_share=True)
    assert (
        headlines.describe_change(200.0, 150.0, ENGLISH)
        == "The expected value fell by 25.0% to 150 GBP"
    )
    assert headlines.describe_change(0.0, 150.0, ENGLISH) == (
        "The expected value is 150 GBP; it was 0 before"
    )


def test_no_spend_is_told_and_the_rest_is_shown(
    forecasts: pd.DataFrame, shop_orders: clvcast.Orders, config: clvcast.Config
) -> None:
    money = [
        n
        for n in forecasts.columns
        if n.startswith(("clv", "expected_spend", "spend")) and "shock" not in n
    ]
    nothing = forecasts.assign(**dict.fromkeys(money, 0.0), tier="low")
    report = clvcast.report(nothing, shop_orders, config)
    assert report.remarks[0].startswith("no spend is expected of any customer")
    assert chart(report, "tiers").finding == "No customer is in the high tier"
    assert cells(chart(report, "tiers"), "customers")["high"] == "0"
    assert "nan" not in _body(report.html).lower().replace("nano", "")


def test_a_segment_without_customers_is_shown_as_empty(
    forecasts: pd.DataFrame, shop_orders: clvcast.Orders, config: clvcast.Config
) -> None:
    moved = forecasts.assign(
        rfm_segment=forecasts["rfm_segment"].replace("Champions", "Loyal"),
        risk=forecasts["risk"].replace("high", "medium"),
    )
    report = clvcast.report(moved, shop_orders, config)
    segments = chart(report, "rfm_segment")
    assert cells(segments, "customers")["Champions"] == "0"
    assert cells(segments, "expected CLV, revenue, GBP")["Champions"] == UNKNOWN
    assert "Champions" in segments.note
    assert report.facts[3].value == "0 customers"


def test_another_model_and_another_currency_are_told(
    forecasts: pd.DataFrame,
    shop_orders: clvcast.Orders,
    config: clvcast.Config,
    shop_model: clvcast.Model,
) -> None:
    from dataclasses import replace

    other = replace(shop_model, own_orders=OrdersConfig(currency="EUR"))
    report = clvcast.report(forecasts, shop_orders, config, model=other)
    told = " ".join(report.remarks)
    assert "made by model a1b2c3d4e5f6" in told
    assert "the model learned from amounts in EUR, the configuration says GBP" in told
    assert "model" not in [section.name for section in report.science]
    assert report.business  # what can be shown is shown


def test_what_the_model_looks_at_is_shares_of_gain(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    forecast = clvcast.score(shop_model, shop_orders)
    report = clvcast.report(forecast, shop_orders, model=shop_model)
    shares = cells(chart(report, "importance"), "share")
    gain = shop_model.trees["churn"][0].booster.feature_importance("gain")
    assert len(shares) == len(gain)
    assert sum(float(share.removesuffix("%")) for share in shares.values()) == pytest.approx(
        100, abs=2
    )


def test_a_name_cannot_leave_its_place(
    forecasts: pd.DataFrame, shop_orders: clvcast.Orders, config: clvcast.Config
) -> None:
    bad = "</script><script>alert(1)</script>"
    odd = forecasts.assign(rfm_segment=forecasts["rfm_segment"].replace("Loyal", bad))
    page = clvcast.report(odd, shop_orders, config).html
    assert bad not in page
    assert "alert(1)" in page


def test_what_changed_is_the_comparison(
    forecasts: pd.DataFrame, shop_orders: clvcast.Orders, config: clvcast.Config
) -> None:
    before = forecast_file(shop_orders, "2020-10-01", config)
    report = clvcast.report(forecasts, shop_orders, config, previous=before)
    change = clvcast.compare(before, forecasts, orders=shop_orders)
    shown = cells(chart(report, "bridge"), "amount, revenue, GBP")
    assert shown["at 2020-10-01"] == ENGLISH.cell(change.before, "money")
    assert [shown[term.name] for term in change.terms] == [
        ENGLISH.cell(term.amount, "money") for term in change.terms
    ]
    moves = change.migrations["tier"]
    counted = sum(int(row[2].replace(",", "")) for row in chart(report, "migration").table.rows)
    assert counted == moves["customers"].sum()


def evaluation() -> Evaluation:
    """Twenty customers of whom the forecast is right: deciles, gain and coverage by eye."""
    spend = np.arange(20, 0, -1.0)
    columns = {
        "cutoff": pd.Timestamp("2020-06-01"),
        "customer_id": [f"c{k}" for k in range(20)],
        "churn_probability": np.repeat([0.0, 1.0], 10),
        "expected_spend": spend,
        "expected_spend_lower": 0.0,
        "expected_spend_upper": np.where(spend > 2, 99.0, 0.5),
        "actual_spend": spend,
        "churned": np.repeat([False, True], 10),
    }
    frame = pd.concat(
        [pd.DataFrame(columns).assign(method=name) for name in ("clvcast", "formula")]
    )
    measures = {"nGini": 1.0, "MAE": 0.0, "bias": 0.0, "churn_ECE": 0.0}
    summary = {
        "customers": 20,
        "horizon_days": 60,
        "churn_rate": 0.5,
        "actual_spend": 210.0,
        "methods": {"clvcast": measures, "formula": measures | {"nGini": 0.5}},
    }
    return Evaluation(pa.Table.from_pandas(frame, preserve_index=False), {"2020-06-01": summary})


def test_the_evaluation_is_that_of_its_rows() -> None:
    found = evaluation()
    deciles = found.deciles()
    assert deciles["expected_spend"].tolist() == [19.5 - 2 * k for k in range(10)]
    assert deciles["is_covered"].tolist() == [1.0] * 9 + [0.0]
    gains = found.gains()
    assert gains.loc[10, "clvcast"] == pytest.approx((20 + 19) / 210)
    assert (
        headlines.describe_gain(gains, ENGLISH)
        == "The top 20% of customers by forecast made 35% of the spend"
    )
    assert headlines.describe_coverage(found.coverage(), ENGLISH) == (
        "90% of customers spent within their 90% interval"
    )
    assert headlines.describe_calibration(found.calibration_error(), ENGLISH).startswith(
        "Churn probabilities are off by 0.0%"
    )
    assert found.calibration()["churned"].tolist() == [0.0] * 5 + [1.0] * 5
    assert "better than every other" in headlines.describe_methods(found.methods(), ENGLISH)
    page = evaluation_report(found, clvcast.Config())
    assert page.business == ()
    assert "How good the forecasts were" in page.html


def test_an_evaluation_counts_returns_as_no_spend_and_divides_any_number() -> None:
    table = evaluation().forecasts.to_pandas()
    table = table[table["customer_id"] != "c3"]  # of nineteen, the last tenth has one
    table.loc[table["customer_id"] == "c5", "actual_spend"] = -4.0
    found = Evaluation(pa.Table.from_pandas(table, preserve_index=False), evaluation().metrics)
    deciles = found.deciles()
    assert deciles["customers"].tolist() == [2] * 9 + [1]
    assert deciles["actual_spend"].tolist()[:3] == [19.5, 17.0, 5.0]  # 20, 19; 18, 16; -4, 14
    assert deciles["is_covered"].tolist() == [1.0] * 8 + [0.5, 0.0]
    assert found.coverage() == 17 / 19
    table["actual_spend"] = -1.0
    nothing = Evaluation(pa.Table.from_pandas(table, preserve_index=False), evaluation().metrics)
    assert nothing.gains()["clvcast"].isna().all()
    assert "Nothing was spent" in headlines.describe_gain(nothing.gains(), ENGLISH)


def test_report_by_the_command_line(
    run: Run, forecasts: pd.DataFrame, shop_lines: pd.DataFrame, tmp_path: Path
) -> None:
    shop_lines.to_parquet(tmp_path / "orders.parquet")
    forecasts.to_parquet(tmp_path / "forecasts.parquet")
    config = tmp_path / "shop.yaml"
    config.write_text(
        "orders: {currency: EUR}\nhorizon_days: 60\nperiods: 3\nreport: {locale: de, title: Our "
        "shop}\n"
    )
    page = tmp_path / "report.html"
    common = (
        tmp_path / "forecasts.parquet",
        "--orders",
        tmp_path / "orders.parquet",
        "--config",
        config,
    )
    status, out, _ = run("report", *common, "--output", page)
    assert (status, "wrote" in out) == (0, True)
    text = page.read_text()
    assert "<title>Our shop</title>" in text
    assert NumberFormat("EUR", "de").money(forecasts["clv"].sum()) in text
    for wrong, told in (
        (("--output", tmp_path / "report.pdf"), "must be an .html file"),
        (
            ("--output", page, "--backtest", tmp_path),
            "must hold forecasts.parquet and metrics.json",
        ),
        (("--output", page, "--previous", tmp_path / "none.parquet"), "none.parquet"),
    ):
        status, _, err = run("report", *common, *wrong)
        assert status in (1, 2)
        assert told in err
        assert "Traceback" not in err
    assert page.read_text() == text


def test_a_backtest_leaves_its_report(
    shop_orders: clvcast.Orders, tmp_path: Path, config: clvcast.Config
) -> None:
    from clvcast.train.backtest.run import Backtest

    given = evaluation()
    Backtest(given.forecasts, dict(given.metrics)).save(tmp_path, config, shop_orders)
    assert {path.name for path in tmp_path.iterdir()} == {
        "forecasts.parquet",
        "metrics.json",
        "report.html",
    }
    read = Evaluation.read(tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text()) == read.metrics
    assert read.deciles().equals(given.deciles())
