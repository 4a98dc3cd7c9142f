"""The command of an unattended run: nightly."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType
from typing import Annotated, Self

import typer

from ..errors import ClvcastError, ConfigError
from .console import (
    CompleteUntil,
    ConfigFile,
    Json,
    Quiet,
    Store,
    announce_compilation,
    err,
    find_config,
    make_progress,
    out,
    read_config,
)
from .next_steps import list_next_commands


def nightly(
    config: ConfigFile = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of forecasts, report and summary.")
    ] = Path("nightly"),
    complete_until: CompleteUntil = None,
    force: Annotated[
        bool, typer.Option("--force", help="Train even if orders and settings are unchanged.")
    ] = False,
    tracking_uri: Store = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Check, train, score, report, monitor and delete old results in one run.

    If a step fails, the current champion stays in use.

    Exit status: 0 done; 1 the candidate was refused and the old champion stays; 2 wrong usage or
    configuration; 3 an alarm. Example: clvcast nightly configs/online_retail.yaml
    --complete-until 2011-12-10
    """
    path = find_config(config)
    settings = read_config(path, complete_until)
    silent = quiet or as_json
    announce_compilation(silent)
    with _AlarmOnFailure():
        from ..nightly.run import run_night

        summary = run_night(
            settings,
            output,
            tracking_uri=tracking_uri,
            force=force,
            progress=make_progress(silent),
        )
        if as_json:
            out.print(summary.format_json(), end="")
        elif not quiet:
            out.print(summary.format_text())
            name = settings.tracking.model_name
            refused = [step.sentence for step in summary.steps if step.outcome == "refused"]
            advice = "; ".join(refused)
            for command in list_next_commands(
                advice, name, path, tracking_uri, complete_until=complete_until
            ):
                out.print(f"what to do is: {command}")
        if silent:  # a scheduler forwards stderr
            for step in summary.steps:
                if step.outcome in ("alarm", "refused"):
                    err.print(f"clvcast: {step.outcome}: {step.name}: {step.sentence}")
    if summary.status:
        raise typer.Exit(summary.status)


class _AlarmOnFailure:
    """End with status 3 whatever goes wrong but the usage: 1 would say that a champion serves."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        from ..nightly.summary import ALARM

        if error is None or isinstance(error, ConfigError | ModuleNotFoundError):
            return
        if isinstance(error, ClvcastError):
            err.print(f"clvcast: {error}")
        elif isinstance(error, Exception):
            traceback.print_exception(error)
        else:
            err.print("clvcast: interrupted; run it again to resume")
        raise SystemExit(ALARM) from None
