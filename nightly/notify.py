"""Telling of an alarm: the user's command, with the summary on its standard input."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from .summary import NightSummary

__all__ = ["send_alarm"]

_SECONDS = 60.0


def send_alarm(command: str, summary: NightSummary, path: Path) -> str | None:
    """Run the command, without a shell; returns what went wrong, if anything did."""
    environment = {
        **os.environ,
        "CLVCAST_STATUS": str(summary.status),
        "CLVCAST_SUMMARY": str(path.absolute()),
    }
    try:
        done = subprocess.run(
            shlex.split(command),
            input=summary.format_json(),
            env=environment,
            timeout=_SECONDS,
            capture_output=True,
            text=True,
        )
    except subprocess.TimeoutExpired:
        return f"notify.command did not end within {_SECONDS:.0f} seconds"
    except (OSError, ValueError) as error:
        return f"notify.command cannot be run: {error}"
    if done.returncode:
        return f"notify.command failed with exit status {done.returncode}"
    return None
