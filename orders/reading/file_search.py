"""Which files a source names: one, those of a glob, or those in a folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from urllib.parse import unquote

from ...errors import OrdersError
from ..plain_files import refuse_special_file

__all__ = [
    "ENDINGS",
    "find_ending",
    "find_files",
    "keep_tables",
    "read_partitions",
]

_TEXTS = (".csv", ".tsv", ".txt", ".jsonl")
ENDINGS = (
    ".parquet",
    *(text + packed for text in _TEXTS for packed in ("", ".gz")),
    ".zip",
    ".xlsx",
)
_LISTED = ".parquet, .csv, .tsv, .txt, .jsonl (each text also .gz), .zip or .xlsx"
_LONGEST_NAME = 255
_MOST_FILES = 20_000  # each takes some 10 ms, however small
_PARTITION = re.compile(r"([^\W\d][\w .-]*)=(.+)")
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


def find_files(source: str) -> list[Path]:
    """The order files `source` names, sorted; refuses none, unknown or mixed kinds."""
    path = Path(source)
    if not source or len(path.name) > _LONGEST_NAME:
        raise OrdersError("orders must be in a file, a glob or a folder; give its path")
    if path.is_dir():
        visible = (p for p in path.rglob("*") if p.name[0] not in "._" and find_ending(p.name))
        paths = keep_tables(p for p in _limit(visible, source) if p.is_file())
        missing = f"the folder {source} holds no order files ({_LISTED})"
    elif path.exists():
        refuse_special_file(path)
        if not find_ending(path.name):
            raise OrdersError(f"orders must be in a {_LISTED} file, got {source}")
        return [path]
    elif any(sign in source for sign in "*?["):
        anchor = Path(path.anchor or ".")
        try:
            matches = anchor.glob(str(path.relative_to(path.anchor)))
            paths = keep_tables(_limit((p for p in matches if find_ending(p.name)), source))
        except ValueError as error:
            raise OrdersError(f"{source} is no glob: {error}") from None
        missing = f"no order file ({_LISTED}) matches {source}"
    else:
        raise OrdersError(f"there is no file or folder {source}; give the path of your orders")
    if not paths:
        raise OrdersError(missing)
    for one in paths:
        refuse_special_file(one)
    kinds = sorted({find_ending(p.name).removesuffix(".gz") for p in paths})
    if len(kinds) > 1:
        raise OrdersError(
            f"{source} holds {' and '.join(kinds)} files, which may be two copies of the same "
            "orders; name one kind, such as '*.parquet'"
        )
    return sorted(paths)


def _limit(paths: Iterable[Path], source: str) -> Iterator[Path]:
    """The paths; refuses more than can be read in minutes, before the rest are looked up."""
    for number, path in enumerate(paths):
        if number >= _MOST_FILES:
            raise OrdersError(
                f"{source} names more than {_MOST_FILES:,} order files; join them, "
                "for example into one parquet file a month"
            )
        yield path


def find_ending(name: str) -> str:
    """The ending that says what kind of file it is, empty where it is no order file's.

    >>> find_ending("Orders.CSV.gz")
    '.csv.gz'
    """
    return next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")


def keep_tables(paths: Iterable[PurePath | Path]) -> list[Path]:
    """Those with the ending of an order file; a .txt beside other kinds is a note, no table."""
    tables = [Path(path) for path in paths if find_ending(path.name)]
    others = [path for path in tables if not find_ending(path.name).startswith(".txt")]
    return others or tables


def read_partitions(path: PurePath) -> dict[str, str | None]:
    """The columns that the folders of a path state, as Hive and Spark write them.

    >>> read_partitions(PurePath("orders/dt=2024-01-01/part-0.parquet"))
    {'dt': '2024-01-01'}
    """
    matches = [_PARTITION.fullmatch(part) for part in path.parts[:-1]]
    return {
        match[1]: None if match[2] == _NULL_PARTITION else unquote(match[2])
        for match in matches
        if match
    }
