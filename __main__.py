"""The command line: one thin function a command; the work is in the packages below."""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
import warnings
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from . import __version__
from .errors import ClvcastError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .configs.schema import Config
    from .features.orders import Orders

app = typer.Typer(
    name="clvcast",
    help="Order histories in, customer lifetime value forecasts out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_out = Console(soft_wrap=True, highlight=False, markup=False)
_err = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)

# a package that is missing -> the extra that brings it
_EXTRAS = {"filelock": "train", "joblib": "train", "mlflow": "train", "sklearn": "train"}

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML configuration.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Store = Annotated[str | None, typer.Option("--tracking-uri", help="The MLflow store.")]
Cutoff = Annotated[
    str | None,
    typer.Option(metavar="DATE", help="The first instant not observed, such as 2011-12-10."),
]


@app.command()
def init(
    orders: Annotated[str, typer.Argument(metavar="ORDERS", help="A file, glob or folder.")],
    output: Annotated[Path, typer.Option("--output", "-o")] = Path("clvcast.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a commented configuration from the columns an order file has.

    Example: clvcast init orders.csv --output shop.yaml
    """
    from .features.starter import init as first_config
    from .serve.outputs import write_files

    text = first_config(orders)
    if output.exists() and not force:
        raise StoreError(f"{output} exists; name another --output, or replace it with --force")
    write_files({output: text})
    _out.print(f"wrote {output}; look it over, then: clvcast check {output}")


@app.command()
def check(
    config: ConfigFile,
    audit: Annotated[
        bool, typer.Option("--audit", help="Prove that no later order touches a feature.")
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Tell whether the orders are fit for a forecast: pass, warn or fail, with numbers.

    Exit status 1 when anything fails. Example: clvcast check configs/online_retail.yaml --audit
    """
    from .features.check import check as findings_of

    settings = _load(config)
    orders = _read(settings, quiet or as_json)
    findings = findings_of(orders, settings, audit=audit)
    if as_json:
        _print_json([dataclasses.asdict(finding) for finding in findings])
    elif not quiet:
        colours = {"pass": "green", "warn": "yellow", "fail": "red"}
        for finding in findings:
            colour = colours[finding.verdict]
            told = f"  {finding.name}: {finding.sentence}"
            _out.print(Text.assemble((finding.verdict, colour), told))
    if any(finding.verdict == "fail" for finding in findings):
        raise typer.Exit(1)


@app.command()
def train(
    config: ConfigFile,
    cutoff: Cutoff = None,
    tracking_uri: Store = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Fit a model, evaluate it on the newest window, track the run, register the model.

    Example: clvcast train configs/online_retail.yaml --cutoff 2011-12-10
    """
    from .train.run import train_and_evaluate
    from .train.summary import later_periods
    from .train.tracking import track, without_password

    settings = _load(config)
    silent = quiet or as_json
    orders = _read(settings, silent)
    run = train_and_evaluate(orders, settings, cutoff, _progress(silent))
    registered = track(run, settings, tracking_uri)
    metrics = run.evaluation.metrics if run.evaluation else {}
    if as_json:
        where = {"tracking_uri": without_password(registered.uri), "run_id": registered.run_id}
        named = {"model": registered.name, "version": registered.version}
        _print_json({"model_version": run.model.version, **named, **where, "evaluation": metrics})
        return
    if quiet:
        return
    _print_metrics(metrics, settings.orders.currency)
    if not metrics:
        _out.print("History is too short to hold a window out: nothing was measured.")
    numbers = run.model.numbers
    _out.print(later_periods(numbers.period_ratios, numbers.realised_periods))
    again = "" if registered.is_new else " (an identical model was registered before)"
    _out.print(
        f"Model {run.model.version} is version {registered.version} of {registered.name}{again}, "
        f"alias champion, in {without_password(registered.uri)}.\nScore with: clvcast score --model "
        f"models:/{registered.name}@champion --orders ORDERS --output forecasts.parquet"
    )


@app.command()
def backtest(
    config: ConfigFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="A folder to write.")],
    cutoff: Annotated[list[str] | None, typer.Option(metavar="DATE", help="Repeatable.")] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Evaluate the model and simple baselines at past cutoffs, each with what was known then.

    Example: clvcast backtest configs/online_retail.yaml --cutoff 2011-06-10 --output backtest
    """
    from .features.windows import shown
    from .serve.outputs import check_folder
    from .train.backtest import backtest as evaluate

    settings = _load(config)
    silent = quiet or as_json
    orders = _read(settings, silent)
    say = _progress(silent)

    def told(instants: Sequence[int]) -> Iterator[int]:
        for k, instant in enumerate(instants, 1):
            say(f"cutoff {shown(instant)} ({k} of {len(instants)})")
            yield instant

    check_folder(output)
    result = evaluate(orders, settings, cutoff or (), told)
    result.save(output)
    if as_json:
        _print_json(result.metrics)
    elif not quiet:
        _print_metrics(result.metrics, settings.orders.currency)
        _out.print(f"wrote {output}/forecasts.parquet and {output}/metrics.json")


@app.command()
def score(
    model: Annotated[str, typer.Option(help="A bundle folder, or models:/NAME@ALIAS.")],
    orders: Annotated[str, typer.Option(help="A .parquet or .csv file, a glob or a folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A .parquet or .csv file.")],
    cutoff: Cutoff = None,
    config: Annotated[
        Path | None, typer.Option(help="Overrides the model's mapping and economics.")
    ] = None,
    tracking_uri: Store = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write one forecast per customer.

    Example: clvcast score --model models:/clv@champion --orders data/online_retail.parquet
    --output forecasts.parquet
    """
    from .serve.batch import score_files
    from .serve.loading import load_model

    settings = None if config is None else _load(config)
    store = tracking_uri or (settings.tracking.uri if settings else None)
    loaded = load_model(model, store)
    if settings is not None:
        loaded = loaded.with_config(settings)
    result = score_files(loaded, orders, output, cutoff)
    if as_json:
        _print_json(dataclasses.asdict(result))
        return
    _note(result.remarks, quiet)
    if quiet:
        return
    days = loaded.numbers.horizon_days
    span, currency = days * loaded.periods, loaded.orders.currency
    _out.print(
        f"{result.customers:,} forecasts at {result.cutoff} by model {result.model_version}:\n"
        f"  expected spend {_money(result.expected_spend, currency)} in {days} days\n"
        f"  CLV            {_money(result.clv, currency)} in {span} days\n"
        f"  mean chance of no order in {days} days: {result.churn_rate:.1%}\n"
        f"wrote {result.output}; set aside in {result.rejected}: {result.lines_set_aside:,} lines, "
        f"{result.customers_without_orders:,} customers without an order",
    )


@app.command()
def version() -> None:
    """Print the version."""
    _out.print(__version__)


def _load(path: Path) -> Config:
    from .configs.schema import load_config

    return load_config(path)


def _read(settings: Config, silent: bool) -> Orders:
    from .features.reading import read

    orders = read(settings.orders)
    _note(orders.report.remarks, silent)
    return orders


def _note(remarks: Sequence[str], silent: bool) -> None:
    if not silent:
        for remark in remarks:
            _err.print(f"note: {remark}")


def _progress(silent: bool) -> Any:
    """What tells people what is going on: they are there when stderr is a terminal."""

    def say(message: str) -> None:
        if _err.is_terminal and not silent:
            _err.print(message, style="dim")

    return say


def _print_metrics(metrics: dict[str, Any], currency: str) -> None:
    from .train.summary import TABLE_MEASURES, verdict

    for cutoff, summary in metrics.items():
        customers, days = summary["customers"], summary["horizon_days"]
        title = f"{customers:,} customers, {days} days from {cutoff} that no method had seen"
        table = Table(title=title, title_justify="left")
        table.add_column("method")
        for measure in TABLE_MEASURES:
            table.add_column(measure, justify="right")
        for name, values in summary["methods"].items():
            table.add_row(name, *(_cell(measure, values[measure]) for measure in TABLE_MEASURES))
        _out.print(table)
        for sentence in verdict(summary, currency):
            _out.print(sentence)
        _out.print()


def _cell(measure: str, value: float | None) -> str:
    if value is None:
        return "-"
    if measure in ("MAE", "RMSE"):
        return f"{value:,.1f}"
    return f"{value:+.1%}" if measure == "bias" else f"{value:.3f}"


def _money(amount: float, currency: str) -> str:
    return f"{amount:,.0f} {currency}".rstrip()


def _print_json(content: object) -> None:
    print(json.dumps(content, indent=1, default=str))


class _Interrupted(BaseException):
    """Ctrl-C or a scheduler's stop; not an `Exception`, so that nothing on the way swallows it."""


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    raise _Interrupted


def main() -> None:
    """Run the command line; every error a user can mend is one sentence and an exit status."""
    warnings.simplefilter("ignore")  # what users should know is printed as a note
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, _interrupt)
    try:
        app()
    except ClvcastError as error:
        _err.print(f"clvcast: {error}")
        sys.exit(error.exit_status)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(str(error.name).partition(".")[0])
        if extra is None:
            raise
        _err.print(f"clvcast: this needs the {extra} extra: pip install 'clvcast[{extra}]'")
        sys.exit(1)
    except _Interrupted:
        _err.print("clvcast: interrupted; earlier outputs are as they were")
        sys.exit(1)


if __name__ == "__main__":
    main()
