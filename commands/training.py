"""Commands that make and measure models: train, backtest."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import (
    CompleteUntil,
    ConfigFile,
    Cutoff,
    Engine,
    Json,
    Quiet,
    Store,
    err,
    make_progress,
    note,
    out,
    print_json,
    print_metrics,
    print_rules,
    read_config,
    read_orders,
    show_progress_bars,
)
from .shop import warn_of_money

if TYPE_CHECKING:
    from ..train.registry.tracking import TrackedRun


def train(
    config: ConfigFile,
    cutoff: Cutoff = None,
    complete_until: CompleteUntil = None,
    tracking_uri: Store = None,
    force: Annotated[
        str | None,
        typer.Option(metavar="REASON", help="Make it champion even if the gate refuses it."),
    ] = None,
    engine: Engine = "local",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Fit a model, evaluate it on the newest window, register it, make it champion if it passes the gate.

    Exit status 1 when the gate refuses it. Example: clvcast train configs/online_retail.yaml --cutoff 2011-12-10
    """
    from ..train.backtest.summary import describe_later_periods, describe_season
    from ..train.learning_curve import describe_curve
    from ..train.registry.store_location import hide_password
    from ..train.registry.tracking import track
    from ..train.run import train_and_evaluate

    settings = read_config(config, complete_until)
    silent = quiet or as_json
    say = make_progress(silent)
    warnings: list[str] = []
    if engine == "spark":
        from ..train.spark import train_on_files

        run = train_on_files(settings, cutoff, say)
        note(run.known.report.remarks, silent)
    else:
        orders = read_orders(settings, silent)
        warnings = warn_of_money(settings, orders.report.lines_read, silent)
        run = train_and_evaluate(orders, settings, cutoff, say)
    note(run.model.numbers.blend.remarks, silent)
    registered = track(run, settings, tracking_uri, force, say)
    metrics = run.evaluation.metrics if run.evaluation else {}
    refused = registered.verdict is not None and not registered.promoted
    if as_json:
        verdict = registered.verdict
        gate = (
            None if verdict is None else {"passed": verdict.passed, **dataclasses.asdict(verdict)}
        )
        print_json(
            {
                "model_version": run.model.version,
                "remarks": run.model.numbers.blend.remarks,
                "warnings": warnings,
                "model": registered.name,
                "version": registered.version,
                "champion": registered.champion,
                "promoted": registered.promoted,
                "tracking_uri": hide_password(registered.uri),
                "run_id": registered.run_id,
                "gate": gate,
                "evaluation": metrics,
                "learning_curve": [dataclasses.asdict(point) for point in run.curve],
            }
        )
    elif not quiet:
        print_metrics(metrics, settings.orders.currency)
        if not metrics:
            out.print("History is too short to hold a window out: nothing was measured.")
        for sentence in describe_curve(run.curve):
            out.print(sentence)
        out.print(describe_later_periods(run.model.numbers.later))
        out.print(describe_season(run.model.numbers.blend.season))
        out.print()
        _print_outcome(registered, run.model.version)
    if refused:
        if silent:
            assert registered.verdict is not None
            err.print(f"clvcast: the gate refuses the candidate: {registered.verdict.reason}")
        raise typer.Exit(1)


def _print_outcome(registered: TrackedRun, model_version: str) -> None:
    """The gate's rules, and what came of them."""
    from ..train.registry.store_location import hide_password

    name, verdict = registered.name, registered.verdict
    again = "" if registered.is_new else " (an identical model was registered before)"
    where = f"version {registered.version} of {name}{again}"
    if verdict is None:
        out.print(f"Model {model_version} is {where} and serves already: nothing to judge.")
        return
    print_rules(verdict)
    out.print(f"Model {model_version} is {where}, in {hide_password(registered.uri)}.")
    if registered.promoted:
        out.print(
            f"{'It passed the gate' if verdict.passed else 'It failed the gate, was forced'} and is "
            f"champion now.\nScore with: clvcast score --model models:/{name}@champion "
            "--orders ORDERS --output forecasts.parquet"
        )
        return
    serving = f"version {registered.champion} serves on" if registered.champion else "none serves"
    out.print(
        f"The gate refuses it; {serving}. If you know better: clvcast models promote "
        f"{registered.version} --reason ..."
    )


def backtest(
    config: ConfigFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="A folder to write.")],
    cutoff: Annotated[list[str] | None, typer.Option(metavar="DATE", help="Repeatable.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Cutoffs evaluated at a time.")] = 1,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Evaluate the model and simple baselines at past cutoffs, each with what was known then.

    Example: clvcast backtest configs/online_retail.yaml --cutoff 2011-06-10 --output backtest
    """
    from ..atomic_files import check_folder
    from ..train.backtest.run import backtest as evaluate

    settings = read_config(config)
    silent = quiet or as_json
    orders = read_orders(settings, silent)
    check_folder(output)
    with show_progress_bars(silent) as progress:
        result = evaluate(orders, settings, cutoff or (), jobs=jobs, progress=progress)
    result.save(output, settings, orders)
    if as_json:
        print_json(result.metrics)
    elif not quiet:
        print_metrics(result.metrics, settings.orders.currency)
        out.print(f"wrote forecasts.parquet, metrics.json and report.html into {output}")
