"""The command line's entry: registers the commands, prints an error as one sentence."""

from __future__ import annotations

import logging
import signal
import sys
import warnings
from types import FrameType
from typing import Annotated, Literal

import typer

from .commands import data, decisions, models, nightly, scoring, serving, training, watching
from .commands.console import err, out, take_settings
from .errors import ClvcastError

app = typer.Typer(
    name="clvcast",
    help="Order histories in, customer lifetime value forecasts out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    data.init,
    data.check,
    training.train,
    training.backtest,
    scoring.score,
    nightly.nightly,
    scoring.explain,
    serving.serve,
    serving.warm,
    decisions.kpis,
    decisions.economics,
    decisions.lists,
    watching.compare,
    watching.monitor,
    decisions.report,
):
    app.command()(command)
app.add_typer(models.app, name="models")

# missing package -> the extra that installs it
_EXTRAS = {
    "fastapi": "serve",
    "httptools": "serve",
    "jinja2": "train",
    "mlflow": "train",
    "optuna": "search",
    "plotly": "train",
    "prometheus_client": "serve",
    "py4j": "spark",
    "pyspark": "spark",
    "sklearn": "train",
    "starlette": "serve",
    "uvicorn": "serve",
}


@app.command()
def version() -> None:
    """Print the version. Example: clvcast version"""
    from . import __version__

    out.print(__version__)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        version()
        raise typer.Exit


@app.callback()
def set_common_options(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
    replaced: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Setting in place of the configuration's, such as economics.margin_rate=0.4. "
            "Repeatable, before or after the command.",
        ),
    ] = None,  # `main` takes them out, wherever they stand
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None,
        typer.Option(help="Print messages of libraries on stderr, from this level up."),
    ] = None,
) -> None:
    """Order histories in, customer lifetime value forecasts out."""
    if log_level is not None:
        logging.basicConfig(level=log_level.upper(), stream=sys.stderr)


class _Interrupted(BaseException):
    """Ctrl-C or a scheduler's stop; not an `Exception`, so that no handler swallows it."""


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    raise _Interrupted


def main() -> None:
    """Run the command line; an error that the user can fix is one sentence and an exit status."""
    warnings.simplefilter("ignore")  # remarks for users are printed as notes
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, _interrupt)
    try:
        app(args=take_settings(sys.argv[1:]))
    except ClvcastError as error:
        err.print(f"clvcast: {error}")
        sys.exit(error.exit_status)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(str(error.name).partition(".")[0])
        if extra is None:
            raise
        err.print(f"clvcast: this needs the extra {extra}: pip install 'clvcast[{extra}]'")
        sys.exit(1)
    except _Interrupted:
        err.print("clvcast: interrupted; earlier outputs are unchanged")
        sys.exit(1)


if __name__ == "__main__":
    main()
