"""`-`: orders and forecasts from standard input, forecasts to standard output, both as CSV."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from ..errors import ConfigError

__all__ = ["STREAM", "receive", "receive_path", "send"]

STREAM = "-"


def receive(context: typer.Context, source: str | None) -> str | None:
    """The source; for `-` a file with what standard input holds."""
    if source != STREAM:
        return source
    if context.meta.setdefault(__name__, 0):
        raise ConfigError("only one of a command's files can be -, standard input, got two")
    if sys.stdin.isatty():
        raise ConfigError("- reads CSV from standard input, got a terminal; pipe a file into it")
    context.meta[__name__] = 1
    folder = context.with_resource(tempfile.TemporaryDirectory(prefix="clvcast-"))
    path = Path(folder) / "standard-input.csv"
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return str(path)


def receive_path(context: typer.Context, source: Path | None) -> Path | None:
    """`receive` of a path."""
    path = receive(context, None if source is None else str(source))
    return None if path is None else Path(path)


@contextmanager
def send(output: str) -> Iterator[str]:
    """The output; for `-` a file whose CSV goes to standard output when all is well."""
    if output != STREAM:
        yield output
        return
    with tempfile.TemporaryDirectory(prefix="clvcast-") as folder:
        path = Path(folder) / "standard-output.csv"
        yield str(path)
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
