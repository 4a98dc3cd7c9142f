"""The commands that a sentence of advice names, as they can be pasted into a shell."""

from __future__ import annotations

import re
from pathlib import Path

from .console import format_command, format_place, format_source, list_settings

__all__ = ["list_next_commands"]


def list_next_commands(
    advice: str,
    model_name: str,
    config: Path | None,
    tracking_uri: str | None,
    orders: str | None = None,
    complete_until: str | None = None,
) -> list[str]:
    """Commands in the order to run them; none where the advice names none.

    The parameters from `config` on are those of the command that gives the advice.
    """
    named = re.search(r"run clvcast (\w+)", advice)
    if named is None:
        return []
    source = format_source(orders, complete_until)
    if named[1] != "compare":
        inputs = [*([] if config is None else [config]), *source, *list_settings()]
        output = ["--output", "backtest"] if named[1] == "backtest" else []
        return [format_command(named[1], *inputs, *output)]
    place = [*format_place(config, tracking_uri), *source]
    files = {alias: f"{alias}.parquet" for alias in ("champion", "candidate")}
    scoring = [
        format_command(
            "score", *place, "--model", f"models:/{model_name}@{alias}", "--output", file
        )
        for alias, file in files.items()
    ]
    return [*scoring, format_command("compare", *files.values())]
