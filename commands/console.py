"""What commands share: printing, common options, reading configurations, orders and models."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from ..errors import quote
from .standard_streams import receive

if TYPE_CHECKING:
    from ..configs.schema import Config
    from ..models.model import TrainedModel
    from ..orders.orders import Orders

__all__ = [
    "DEFAULT_CONFIG",
    "CompleteUntil",
    "ConfigFile",
    "ConfiguredModel",
    "Cutoff",
    "Engine",
    "ExpectSha256",
    "Format",
    "Json",
    "ModelName",
    "OptionalConfig",
    "OrdersOption",
    "Quiet",
    "Store",
    "announce_compilation",
    "err",
    "find_config",
    "find_model_and_config",
    "format_command",
    "format_money",
    "format_place",
    "format_source",
    "list_settings",
    "load_configured_model",
    "make_progress",
    "note",
    "out",
    "print_json",
    "read_config",
    "read_config_of_orders",
    "read_optional_config",
    "read_orders",
    "show_progress_bars",
    "take_settings",
]

# a log or a pipe has no width: tables there are not cut to 80 characters
_WIDTH = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160

DEFAULT_CONFIG = Path("clvcast.yaml")

out = Console(soft_wrap=True, highlight=False, markup=False, width=_WIDTH)
err = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)

ConfigFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="[CONFIG]",
        envvar="CLVCAST_CONFIG",
        help=f"YAML configuration. Default: {DEFAULT_CONFIG}, if it is here.",
    ),
]
OrdersOption = Annotated[
    str | None,
    typer.Option(
        "--orders",
        callback=receive,
        help="Order file, glob, folder or database (-: CSV from standard input), used instead "
        "of the configuration's; with it, no configuration is needed.",
    ),
]
OptionalConfig = Annotated[
    Path | None, typer.Option("--config", envvar="CLVCAST_CONFIG", help="YAML configuration.")
]
ModelName = Annotated[
    str,
    typer.Option(
        "--model",
        envvar="CLVCAST_MODEL",
        help="Bundle folder, or models:/NAME@ALIAS in the registry.",
    ),
]
ConfiguredModel = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Bundle folder, or models:/NAME@ALIAS in the registry. Default: the champion of the "
        "configuration.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Format = Annotated[Literal["csv", "parquet"], typer.Option("--format", help="Format of the files.")]
Engine = Annotated[
    Literal["local", "spark"],
    typer.Option(help="Run on this machine, or in Spark (extra spark)."),
]
Store = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri", envvar="CLVCAST_TRACKING_URI", help="Address of the MLflow store."
    ),
]
ExpectSha256 = Annotated[
    str | None, typer.Option(help="Reject a bundle whose manifest.json has another sha256.")
]
Cutoff = Annotated[
    str | None,
    typer.Option(metavar="DATE", help="The model uses only orders before this date: 2011-12-10."),
]
CompleteUntil = Annotated[
    str | None,
    typer.Option(
        metavar="DATE",
        help="All orders before this date are in the data (also: today, yesterday). Default: the "
        "midnight after the newest order.",
    ),
]


SETTINGS: list[str] = []  # of --set: KEY=VALUE, which replace those of the configuration


def take_settings(arguments: list[str]) -> list[str]:
    """The arguments without `--set KEY=VALUE`, which may stand anywhere; kept in `SETTINGS`."""
    SETTINGS.clear()
    rest: list[str] = []
    following = iter(arguments)
    for argument in following:
        if argument == "--set":
            SETTINGS.append(next(following, ""))
        elif argument.startswith("--set="):
            SETTINGS.append(argument.removeprefix("--set="))
        else:
            rest.append(argument)
    return rest


def replace_settings(config: Config, settings: Sequence[str]) -> Config:
    """The configuration with `economics.margin_rate=0.4` and the like in place of its own."""
    from ..configs.schema import parse_config
    from ..configs.yaml_text import parse_yaml
    from ..errors import ConfigError

    if not settings:
        return config
    content = config.model_dump(mode="json", exclude_unset=True)
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not all(path.split(".")):
            raise ConfigError(
                f"--set must be KEY=VALUE such as economics.margin_rate=0.4, got {quote(setting)}"
            )
        *above, last = path.split(".")
        section = content
        for name in above:
            inner = section.get(name)
            section[name] = section = dict(inner) if isinstance(inner, dict) else {}
        section[last] = parse_yaml(text, f"the value of --set {path}")
    return parse_config(json.dumps(content, default=str), "the configuration with --set")


def find_config(path: Path | None) -> Path:
    """The configuration that is named, or clvcast.yaml in this folder."""
    from ..errors import ConfigError

    if path is not None or DEFAULT_CONFIG.is_file():
        return path or DEFAULT_CONFIG
    raise ConfigError(
        f"no configuration is named, and there is no {DEFAULT_CONFIG} in this folder; name a file, "
        "or write one with: clvcast init ORDERS"
    )


def read_config_of_orders(
    path: Path | None, orders: str | None, complete_until: str | None = None
) -> tuple[Path | None, Config]:
    """The configuration's path and content, with other orders where they are named.

    With orders and no path, everything else has its default.
    """
    path = path if orders is not None else find_config(path)
    config = read_config(path, complete_until)
    if orders is None:
        return path, config
    return path, config.model_copy(update={"orders": config.orders.reading(orders)})


def find_model_and_config(model: str | None, config: Path | None) -> tuple[str | None, Path | None]:
    """What is named; clvcast.yaml in this folder if neither is."""
    return model, config if model is not None or config is not None else find_config(None)


def read_config(path: Path | None, complete_until: str | None = None) -> Config:
    """Read a configuration; `complete_until` replaces the value in the file."""
    from ..configs.schema import Config, OrdersConfig, load_config

    config = Config() if path is None else load_config(path)
    config = replace_settings(config, SETTINGS)
    if complete_until is None:
        return config
    order_settings = OrdersConfig(complete_until=complete_until)
    return config.overridden_by(Config(orders=order_settings))


def read_optional_config(path: Path | None) -> Config | None:
    """Read a configuration, if one is named, or --set stands for one."""
    return read_config(path) if path is not None or SETTINGS else None


def load_configured_model(
    model: str | None,
    config: Config | None,
    tracking_uri: str | None,
    expect_sha256: str | None = None,
) -> TrainedModel:
    """Load a model (default: the configuration's champion) with the configuration's overrides."""
    from ..configs.schema import TrackingConfig
    from ..models.loading import load_model

    if model is None:
        tracking = config.tracking if config else TrackingConfig()
        model = f"models:/{tracking.model_name}@champion"
    store = tracking_uri or (config.tracking.uri if config else None)
    loaded = load_model(model, store, expect_sha256=expect_sha256)
    return loaded if config is None else loaded.with_config(config)


def read_orders(settings: Config, silent: bool) -> Orders:
    """Read the orders of a configuration and print the remarks of reading."""
    from ..features.configured_orders import attach_configured
    from ..orders.reading.read_orders import read_orders as read

    announce_compilation(silent)
    orders = attach_configured(read(settings), settings)
    note(orders.report.remarks, silent)
    return orders


def note(remarks: Sequence[str], silent: bool) -> None:
    """Print remarks on stderr."""
    if not silent:
        for remark in remarks:
            err.print(f"note: {remark}")


def make_progress(silent: bool) -> Callable[[str], None]:
    """A callback that prints steps of the work, where stderr is a terminal."""

    def progress(message: str) -> None:
        if err.is_terminal and not silent:
            err.print(message, style="dim")

    return progress


def announce_compilation(silent: bool) -> None:
    """Print one line when the first call compiles; later runs use the cache."""
    if silent or not err.is_terminal:
        return
    from numba.core import event

    class Announcement(event.Listener):  # type: ignore[misc]
        def on_start(self, event: object) -> None:
            if not announced:
                announced.append(True)
                err.print(
                    "compiling what reads orders and forecasts, once (some 10 seconds) ...",
                    style="dim",
                )

        def on_end(self, event: object) -> None:
            """Required by numba."""

    announced: list[bool] = []
    event.register("numba:compile", Announcement())


class _Rate(ProgressColumn):
    """The count, and the rate since the bar appeared where it is at least one per second."""

    def render(self, task: Task) -> Text:
        count, since = task.fields["count"], task.fields["count"] - task.fields["first"]
        seconds = task.finished_time or task.elapsed or 0.0
        has_rate = seconds >= 1.0 and since >= seconds
        return Text(f"{count:,}, {since / seconds:,.0f}/s" if has_rate else f"{count:,}")


@contextmanager
def show_progress_bars(silent: bool) -> Iterator[Callable[[str, float, int], None]]:
    """A bar per kind of work, with rate and remaining time, where stderr is a terminal."""
    announce_compilation(silent)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        _Rate(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=err,
        transient=True,
        disable=silent or not err.is_terminal,
    ) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, share: float, count: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=1.0, first=count, count=count)
            bars.update(tasks[what], completed=share, count=count)

        yield show


def format_command(*arguments: object) -> str:
    """A command of clvcast as it can be pasted into a shell."""
    return shlex.join(["clvcast", *map(str, arguments)])


def format_place(config: Path | None, tracking_uri: str | None) -> list[str]:
    """The options that name the registry a command was run on."""
    from ..configs.addresses import list_store_options

    named = [] if config is None else ["--config", str(config)]
    return [*named, *list_settings(), *list_store_options(tracking_uri)]


def format_source(orders: str | None, complete_until: str | None) -> list[str]:
    """The options that name the orders a command read, and the day they are complete until."""
    from ..configs.addresses import hide_passwords

    named = [] if orders is None else ["--orders", hide_passwords(orders)]
    return [*named, *([] if complete_until is None else ["--complete-until", complete_until])]


def list_settings() -> list[str]:
    """The options `--set` that a command was given: the next one needs them, too."""
    return [part for setting in SETTINGS for part in ("--set", setting)]


def format_money(amount: float, currency: str) -> str:
    """An amount in whole units of the currency."""
    return f"{amount:,.0f} {currency}".rstrip()


def print_json(content: object) -> None:
    """Print JSON on stdout."""
    print(json.dumps(content, indent=1, default=str))
