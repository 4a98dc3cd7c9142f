"""A process whose stdout and stderr are a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def run_in_terminal(
    command: Sequence[object],
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> tuple[int, str]:
    """The exit status of a command, and all it says."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*map(str, command)], env=environment, cwd=folder, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    said = b""
    try:
        while part := os.read(ours, 4096):
            said += part
    except OSError:  # the end, as terminals tell it
        pass
    os.close(ours)
    return process.wait(), said.decode()
