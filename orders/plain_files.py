"""Plain files: what is read to its end must have one."""

from __future__ import annotations

import stat
from pathlib import Path

from ..errors import OrdersError

__all__ = ["refuse_special_file"]


def refuse_special_file(path: Path) -> None:
    """Refuse what is no plain file: reading a pipe or a device might never end."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
        kind = kinds.get(stat.S_IFMT(mode), "a device")
        raise OrdersError(f"{path} must be a file, and it is {kind}; give the path of a file")
