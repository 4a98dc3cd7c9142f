"""Commands that make and measure models: train, backtest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from .console import (
    ConfigFile,
    Cutoff,
    Json,
    Quiet,
    Store,
    load,
    out,
    print_json,
    print_metrics,
    progress,
    read_orders,
)


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
    from ..train.run import train_and_evaluate
    from ..train.summary import later_periods
    from ..train.tracking import track, without_password

    settings = load(config)
    silent = quiet or as_json
    orders = read_orders(settings, silent)
    run = train_and_evaluate(orders, settings, cutoff, progress(silent))
    registered = track(run, settings, tracking_uri)
    metrics = run.evaluation.metrics if run.evaluation else {}
    if as_json:
        where = {"tracking_uri": without_password(registered.uri), "run_id": registered.run_id}
        named = {"model": registered.name, "version": registered.version}
        print_json({"model_version": run.model.version, **named, **where, "evaluation": metrics})
        return
    if quiet:
        return
    print_metrics(metrics, settings.orders.currency)
    if not metrics:
        out.print("History is too short to hold a window out: nothing was measured.")
    out.print(later_periods(run.model.numbers.later))
    again = "" if registered.is_new else " (an identical model was registered before)"
    out.print(
        f"Model {run.model.version} is version {registered.version} of {registered.name}{again}, "
        f"alias champion, in {without_password(registered.uri)}.\nScore with: clvcast score --model "
        f"models:/{registered.name}@champion --orders ORDERS --output forecasts.parquet"
    )


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
    from ..features.windows import shown
    from ..serve.outputs import check_folder
    from ..train.backtest import backtest as evaluate

    settings = load(config)
    silent = quiet or as_json
    orders = read_orders(settings, silent)
    say = progress(silent)

    def told(instants: Sequence[int]) -> Iterator[int]:
        for k, instant in enumerate(instants, 1):
            say(f"cutoff {shown(instant)} ({k} of {len(instants)})")
            yield instant

    check_folder(output)
    result = evaluate(orders, settings, cutoff or (), told)
    result.save(output)
    if as_json:
        print_json(result.metrics)
    elif not quiet:
        print_metrics(result.metrics, settings.orders.currency)
        out.print(f"wrote {output}/forecasts.parquet and {output}/metrics.json")
