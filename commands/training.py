"""Commands that train and evaluate models: train, backtest."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError, quote
from .console import (
    CompleteUntil,
    ConfigFile,
    Cutoff,
    Engine,
    Json,
    OrdersOption,
    Quiet,
    Store,
    announce_compilation,
    err,
    format_command,
    format_place,
    format_source,
    make_progress,
    note,
    out,
    print_json,
    read_config_of_orders,
    read_orders,
    show_progress_bars,
)
from .next_steps import list_next_commands
from .shop import warn_of_money
from .tables import print_metrics, print_rules

if TYPE_CHECKING:
    from ..train.registry.tracking import TrackedRun


def train(
    config: ConfigFile = None,
    orders: OrdersOption = None,
    cutoff: Cutoff = None,
    complete_until: CompleteUntil = None,
    tracking_uri: Store = None,
    force: Annotated[
        str | None,
        typer.Option(metavar="REASON", help="Make it champion even if the gate refuses it."),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Tag of the run and the version, repeatable."),
    ] = None,
    run_name: Annotated[str | None, typer.Option(help="Name of the run in MLflow.")] = None,
    engine: Engine = "local",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train, evaluate and register a model; it becomes champion if it passes the gate.

    Exit status 1 if the gate refuses it; 0 if it becomes champion, including provisionally or with
    --force.

    Example: clvcast train configs/online_retail.yaml
    --cutoff 2011-12-10
    """
    from ..configs.addresses import hide_passwords
    from ..orders.windows import find_first_order_at
    from ..train.backtest.summary import (
        describe_clv_evaluation,
        describe_later_periods,
        describe_risk_bands,
        describe_season,
    )
    from ..train.learning_curve import describe_curve
    from ..train.limited_orders import open_limited_orders
    from ..train.registry.tracking import check_tracking, track
    from ..train.run import train_limited

    config, settings = read_config_of_orders(config, orders, complete_until)
    tags = check_tracking(settings, tracking_uri, force, dict(map(_split_tag, tag or ())))
    silent = quiet or as_json
    progress = make_progress(silent)
    warnings: list[str] = []
    if engine == "spark":
        from ..configs.addresses import is_address
        from ..train.spark import train_on_files

        run = train_on_files(settings, cutoff, progress)
        note(run.known.report.remarks, silent)
        if not any(is_address(one.source) for one in settings.orders.all_sources()):
            warnings = warn_of_money(settings, run.known.report.lines_read, silent)
    else:
        announce_compilation(silent)
        with open_limited_orders(None, settings, cutoff=cutoff) as limited:
            reading = limited.orders.report
            note(reading.remarks, silent)
            warnings = warn_of_money(settings, reading.lines_read, silent)
            run = train_limited(limited, settings, progress)
    note(run.model.numbers.blend.remarks, silent)
    registered = track(run, settings, tracking_uri, force, progress, tags, run_name)
    metrics = run.evaluation.metrics if run.evaluation else {}
    unjudged = describe_clv_evaluation(
        metrics, find_first_order_at(run.known), settings.horizon_days, settings.periods
    )
    verdict = registered.verdict
    if as_json:
        gate = verdict and {
            "passed": verdict.passed,
            "provisional": verdict.is_provisional,
            "next_step": verdict.next_step,
            **dataclasses.asdict(verdict),
        }
        print_json(
            {
                "model_version": run.model.version,
                "remarks": run.model.numbers.blend.remarks,
                "warnings": warnings,
                "model": registered.name,
                "version": registered.version,
                "champion": registered.champion,
                "promoted": registered.promoted,
                "tracking_uri": hide_passwords(registered.uri),
                "run_id": registered.run_id,
                "gate": gate,
                "evaluation": metrics,
                "clv_not_judged": unjudged,
                "learning_curve": [dataclasses.asdict(point) for point in run.curve],
            }
        )
    elif not quiet:
        print_metrics(metrics)
        if not metrics:
            out.print("The history is too short for a holdout window: nothing was measured.")
        sentences = (
            *describe_curve(run.curve, run.rows_setting),
            unjudged,
            describe_later_periods(run.model.numbers.later),
            describe_season(run.model.numbers.blend.season),
            describe_risk_bands(run.model.segments.risk),
        )
        for sentence in sentences:
            if sentence:
                out.print(sentence)
        out.print()
        place = format_place(config, tracking_uri)
        source = format_source(orders, complete_until)
        if config is None:
            source = ["--model", f"models:/{registered.name}@champion", *source]
        _print_outcome(registered, run.model.version, place, source)
        if verdict is not None and verdict.failed:
            for command in list_next_commands(
                verdict.next_step, registered.name, config, tracking_uri, orders, complete_until
            ):
                out.print(f"What to do is: {command}")
    if verdict is not None and not registered.promoted:
        if silent:
            err.print(
                f"clvcast: the candidate failed the gate: {verdict.reason}; what to do: "
                f"{verdict.next_step}"
            )
        raise typer.Exit(1)


def _split_tag(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--tag must be NAME=VALUE, got {quote(text)}")
    return name, value


def _print_outcome(
    registered: TrackedRun, model_version: str, place: list[str], source: list[str]
) -> None:
    """The gate's rules, the outcome, and the next command with the options that name the place.

    `source` is what scoring needs besides, where the orders are not the configuration's.
    """
    from ..configs.addresses import hide_passwords

    name, verdict = registered.name, registered.verdict
    duplicate = "" if registered.is_new else " (an identical model was registered before)"
    version = f"version {registered.version} of {name}{duplicate}"
    if verdict is None:
        out.print(f"Model {model_version} is {version} and is champion already.")
        return
    print_rules(verdict)
    out.print(f"Model {model_version} is {version}, in {hide_passwords(registered.uri)}.")
    if registered.promoted:
        passed = "It failed the gate, was forced and is champion now"
        if verdict.passed:
            passed = "It passed the gate and is champion now"
        elif verdict.is_provisional:
            passed = (
                "It ranks customers better than every baseline, and is champion now, provisionally "
                f"(what to do: {verdict.next_step})"
            )
        concern = f"\nBut {registered.concern}" if registered.concern else ""  # ends in a command
        out.print(
            f"{passed}.{concern}\nScore with: "
            + format_command("score", *place, *source, "--output", "forecasts.parquet")
        )
        return
    champion = f"version {registered.champion}" if registered.champion else "no version"
    out.print(
        f"It failed the gate; {champion} is champion.\nWhat to do: {verdict.next_step}.\n"
        "To promote it anyway: "
        + format_command(
            "models", "promote", registered.version, *place, "--reason", "checked by hand"
        )
    )


def backtest(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    config: ConfigFile = None,
    orders: OrdersOption = None,
    cutoff: Annotated[
        list[str] | None, typer.Option(metavar="DATE", help="Past cutoff, repeatable.")
    ] = None,
    complete_until: CompleteUntil = None,
    jobs: Annotated[int, typer.Option(min=1, help="Number of cutoffs evaluated in parallel.")] = 1,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Evaluate model and simple baselines at past cutoffs, using only orders from before each.

    Example: clvcast backtest configs/online_retail.yaml --cutoff 2011-06-10 --output backtest
    """
    from ..atomic_files import check_folder
    from ..train.backtest.run import backtest as run_backtest

    _, settings = read_config_of_orders(config, orders, complete_until)
    silent = quiet or as_json
    order_lines = read_orders(settings, silent)
    check_folder(output)
    with show_progress_bars(silent) as progress:
        result = run_backtest(order_lines, settings, cutoff or (), jobs=jobs, progress=progress)
    result.save(output, settings, order_lines)
    if as_json:
        print_json(result.metrics)
    elif not quiet:
        print_metrics(result.metrics)
        out.print(f"wrote forecasts.parquet, metrics.json and report.html into {output}")
