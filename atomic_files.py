"""Outputs that are complete or absent: written beside the target, synced, then moved over it."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from .errors import ConfigError, StoreError
from .spreadsheet_cells import escape_cells

__all__ = [
    "REJECTED",
    "check_batch_output",
    "check_folder",
    "check_writable",
    "replace_file",
    "replace_folder",
    "write_files",
    "write_tables",
]

REJECTED = "rejected.parquet"  # beside or in every batch output
_FORMATS = (".parquet", ".csv")
_LONGEST_NAME = 200  # characters; the journal and partial files beside it have longer names


def check_writable(path: Path) -> None:
    """Reject, before long work, an output that cannot be written."""
    if path.suffix.lower() not in _FORMATS:
        raise ConfigError(f"an output must be a .parquet or .csv file, got {path}")
    if len(path.name) > _LONGEST_NAME:
        raise ConfigError(
            f"the name of an output must have at most {_LONGEST_NAME} characters, got "
            f"{len(path.name)}; name it shorter"
        )
    if path.is_dir():
        raise StoreError(f"the output {path} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise StoreError(f"the output's folder {path.parent} does not exist; make it first")
    with replace_file(path) as partial:
        partial.touch()
        partial.unlink()


def check_batch_output(
    files: Sequence[Path], output: Path, rejected: Path, manifest: Path, partitions: int
) -> None:
    """Reject outputs that cannot be written, or would replace the orders or each other."""
    if partitions:
        if output.suffix:
            raise ConfigError(
                f"a partitioned output must be a folder, got {output}; remove {output.suffix}"
            )
        if output.exists() and not manifest.is_file():
            raise StoreError(f"{output} exists and holds no forecasts; name a new folder")
    else:
        check_writable(output)
    if output.name == REJECTED:
        raise ConfigError(
            f"the output must not be {REJECTED}, the file of rejected lines; name another file"
        )
    inputs = {path.resolve() for path in files}
    for path in (output, rejected):
        if path.resolve() in inputs:
            raise ConfigError(f"the output would replace the orders {path}; name another file")
    if any(path.is_relative_to(output.resolve()) for path in inputs):
        raise ConfigError(f"the orders lie in the output {output}; name another folder")


def write_files(
    contents: Mapping[Path, pa.Table | str], exact_columns: Collection[str] = ()
) -> None:
    """Write texts and tables, the latter as .parquet or .csv by their endings: all, or none.

    A .csv file is for people: no spreadsheet runs its cells, but those of `exact_columns`.
    """
    with ExitStack() as stack:
        partials = {path: stack.enter_context(replace_file(path)) for path in contents}
        for path, content in contents.items():
            if isinstance(content, str):
                partials[path].write_text(content, encoding="utf-8")
            elif path.suffix.lower() == ".csv":
                pa.csv.write_csv(escape_cells(content, exact_columns), partials[path])
            else:
                pa.parquet.write_table(content, partials[path])
            _sync(partials[path])


def write_tables(
    folder: Path,
    tables: Mapping[str, pd.DataFrame | pa.Table],
    ending: str,
    exact_columns: Collection[str] = (),
) -> None:
    """Write tables into `folder`, one file of its name each: all of them, or none."""
    check_folder(folder)
    write_files(
        {
            folder / f"{name}.{ending}": table
            if isinstance(table, pa.Table)
            else pa.Table.from_pandas(table, preserve_index=False)
            for name, table in tables.items()
        },
        exact_columns,
    )


def check_folder(path: Path) -> None:
    """Create an output folder; reject, before long work, one that cannot be written."""
    with translate_os_errors(path):
        if path.exists() and not path.is_dir():
            raise StoreError(f"the output {path} is a file; name a folder")
        path.mkdir(parents=True, exist_ok=True)
    with replace_file(path / "check") as partial:
        partial.touch()
        partial.unlink()


@contextmanager
def replace_file(path: Path, work: Path | None = None) -> Iterator[Path]:
    """Give a path in `work` (else beside `path`) to write to; move it over `path` once synced.

    On any error, an interrupt included, `path` stays as it was and nothing is left beside it.
    """
    partial = _name_partial(path, work)
    with translate_os_errors(path):
        try:
            yield partial
            if partial.exists():
                _sync(partial)
                os.replace(partial, path)
                _sync(path.parent)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def replace_folder(path: Path, work: Path | None = None) -> Iterator[Path]:
    """The same for a folder: filled in `work` or beside `path`, then moved to where it was."""
    path = path.resolve()
    partial, old = _name_partial(path, work), _name_partial(path, work)
    with translate_os_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.mkdir()
            yield partial
            for file in partial.iterdir():
                _sync(file)
            _sync(partial)
            if path.exists():
                path.rename(old)
            partial.rename(path)
            _sync(path.parent)
        finally:
            if old.exists() and not path.exists():
                old.rename(path)
            shutil.rmtree(partial, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


def _name_partial(path: Path, work: Path | None) -> Path:
    """A name no other writer has: a process id may be in use twice on a shared volume."""
    return (work or path.parent) / f".{path.name}.{uuid.uuid4().hex}.partial"


@contextmanager
def translate_os_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            why = "the disk is full; nothing was written"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            why = "no permission to write there"
        else:
            why = error.strerror or str(error)
        raise StoreError(f"{path} cannot be written: {why}") from None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
