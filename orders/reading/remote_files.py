"""Files behind s3://, gs:// and https:// (extra `cloud`): fetched one by one, read, and removed.

fsspec opens them, with the credentials the environment has for each store. What an address hides in
`${NAME}` or as a password is in no message.
"""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from ...configs.addresses import expand_variables, hide_passwords, hide_variables
from ...errors import OrdersError, StoreError
from .databases import DatabaseAddress
from .file_search import find_ending, keep_tables
from .temporary_folder import make_temporary_folder

__all__ = ["FetchedFile", "fetch_files"]

_ANSWER_SECONDS = 60.0  # for a list of files, or the next piece of one
_FILE_SECONDS = 3_600.0
_PIECE_BYTES = 1 << 22
_SPARED_SHARE = 0.1  # of the free disk, which a file may not take

Found = TypeVar("Found")


@dataclass(frozen=True)
class FetchedFile:
    """A file that was fetched: where it is for now, and its address as it may be shown."""

    path: Path
    shown: str


def fetch_files(source: str) -> Iterator[FetchedFile]:
    """The order files an address names, each there until the next is asked for."""
    address = DatabaseAddress(source, hide_passwords(source), None)
    store, names = _find(address)
    with make_temporary_folder() as folder:
        for name in names:
            path = folder / _locate(name)
            if hide_variables(path.name, source) != path.name:  # messages name the file
                path = path.with_name(f"orders{find_ending(path.name)}")
            path.parent.mkdir(parents=True, exist_ok=True)
            _fetch(store, name, path, address)
            shown = source if len(names) == 1 else hide_variables(name, source)
            yield FetchedFile(path, hide_passwords(shown))
            path.unlink()


def _find(address: DatabaseAddress) -> tuple[Any, list[str]]:
    """The file system, and the names of files in it, sorted."""
    try:
        import fsspec
    except ImportError:
        raise StoreError(_name_extra(address)) from None
    expanded = expand_variables(address.address)
    try:
        store, name = _run_within(_ANSWER_SECONDS, lambda: fsspec.core.url_to_fs(expanded), address)
    except ImportError:
        raise StoreError(_name_extra(address)) from None
    if expanded.lower().startswith("http"):  # a question mark is no glob, and nothing is listed
        names = [expanded]
    elif any(sign in name for sign in "*?["):
        names = _run_within(_ANSWER_SECONDS, lambda: store.glob(name), address)
    else:
        names = _run_within(_ANSWER_SECONDS, lambda: store.find(name), address)
    tables = {str(path) for path in keep_tables(PurePosixPath(_locate(name)) for name in names)}
    paths = sorted(name for name in names if str(_locate(name)) in tables)
    if not paths:
        raise OrdersError(f"{address.shown} names no order file; it must end in .csv, .parquet ...")
    kinds = sorted({find_ending(_locate(name).name).removesuffix(".gz") for name in paths})
    if len(kinds) > 1:
        raise OrdersError(
            f"{address.shown} holds {' and '.join(kinds)} files, which may be two copies of the "
            "same orders; name one kind, such as '*.parquet'"
        )
    return store, paths


def _locate(name: str) -> Path:
    """Where a file goes below the temporary folder: its name, in the folders that state columns."""
    plain = unquote(urlsplit(name).path) if "://" in name else name
    parts = [part for part in PurePosixPath(plain).parts if part not in ("/", "..")]
    states = [part for part in parts[:-1] if re.fullmatch(r"[^=]+=.+", part)]
    return Path(*states, parts[-1] if parts else "nameless")


def _fetch(store: Any, name: str, path: Path, address: DatabaseAddress) -> None:
    most = shutil.disk_usage(path.parent).free * (1 - _SPARED_SHARE)
    deadline = time.monotonic() + _FILE_SECONDS
    n_bytes = 0
    remote = _run_within(_ANSWER_SECONDS, lambda: store.open(name, "rb"), address)
    with closing(remote), path.open("wb") as local:
        while piece := _run_within(_ANSWER_SECONDS, lambda: remote.read(_PIECE_BYTES), address):
            n_bytes += len(piece)
            if n_bytes > most:
                raise StoreError(f"{address.shown} is larger than the free disk of {path.parent}")
            if time.monotonic() > deadline:
                raise StoreError(
                    f"{address.shown} took longer than {_FILE_SECONDS / 60:.0f} minutes"
                )
            local.write(piece)


def _run_within(seconds: float, work: Callable[[], Found], address: DatabaseAddress) -> Found:
    """What `work` gives, if it does in time; a store that never answers is left behind."""
    results: list[Found] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    worker.join(seconds)
    if results:
        return results[0]
    if not errors:
        raise StoreError(f"{address.shown} did not answer within {seconds:.0f} seconds")
    if isinstance(errors[0], ImportError):
        raise errors[0]
    if isinstance(errors[0], FileNotFoundError):
        raise OrdersError(f"there is no file {address.shown}, or its store cannot be reached")
    if isinstance(errors[0], Exception):  # each store has errors of its own
        raise StoreError(f"{address.shown} cannot be read: {address.reason(errors[0])}")
    raise errors[0]


def _name_extra(address: DatabaseAddress) -> str:
    return f"{address.shown} needs packages that are not installed: pip install 'clvcast[cloud]'"
