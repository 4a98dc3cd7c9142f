"""The current and the previous model of a server, and how a new one is loaded.

A malformed tree text can crash or hang the process that parses it. So a child process loads a
model first, verifies its golden rows and saves a copy; only the copy is loaded here.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ...errors import BundleError, ClvcastError, ConfigError
from ...models.bundle import load_bundle
from ...models.model import TrainedModel
from ...models.registry_facts import RegistryFacts
from ..warmup import warm

__all__ = ["ModelHolder", "verify_in_subprocess"]

_LONGEST = 120.0  # seconds a child may take to load a model


class ModelHolder:
    """The current model and the previous one; a swap is one assignment, so it is atomic."""

    def __init__(
        self,
        model: TrainedModel,
        root: Path | None = None,
        tracking_uri: str | None = None,
        prepare: Callable[[TrainedModel], TrainedModel] = lambda model: model,
    ) -> None:
        self.current = model
        self.previous: TrainedModel | None = None
        self.is_warm = False
        self._root, self._tracking_uri, self._prepare = root, tracking_uri, prepare
        self._changing = threading.Lock()

    def warm(self) -> None:
        """Run the compiled code once; the server is ready only afterwards."""
        warm(self.current)
        self.is_warm = True

    def reload(self, name: str, expect_sha256: str | None = None) -> TrainedModel:
        """Load a model by `models:/NAME@ALIAS` or by a path below the root, and switch to it.

        Its bundle must have the digests that `models.digests` knows, and the one given.
        Raises `BundleError`, `StoreError` or `ConfigError`, and `BlockingIOError` while another
        change is running; then nothing has changed.
        """
        with _lock_or_raise(self._changing):
            verified = verify_in_subprocess(self._resolve(name), self._tracking_uri, expect_sha256)
            model = self._prepare(verified)
            warm(model)
            if model.version != self.current.version:
                self.previous = self.current
            self.current = model
            return model

    def rollback(self) -> TrainedModel:
        """Swap the current and the previous model; `ConfigError` if there is no previous one."""
        with _lock_or_raise(self._changing):
            if self.previous is None:
                raise ConfigError("there is no previous model to go back to")
            self.current, self.previous = self.previous, self.current
            return self.current

    def _resolve(self, name: str) -> str:
        if "\0" in name:
            raise ConfigError("a model must be named without the character NUL")
        if name.startswith("models:/"):
            return name
        if self._root is None or ":" in name:
            raise ConfigError("a model is models:/NAME@ALIAS, or a path below --models-root")
        path = (self._root / name).resolve()
        if not path.is_relative_to(self._root.resolve()):
            raise ConfigError("a model's path must lie below --models-root")
        return str(path)


@contextmanager
def _lock_or_raise(lock: threading.Lock) -> Iterator[None]:
    if not lock.acquire(blocking=False):
        raise BlockingIOError
    try:
        yield
    finally:
        lock.release()


_CHILD = """
import sys
from pathlib import Path
from clvcast.errors import ClvcastError
from clvcast.models.loading import load_model
try:
    expected = sys.argv[4] if len(sys.argv) > 4 else None
    model = load_model(sys.argv[1], sys.argv[3] or None, expect_sha256=expected)
    model.load_boosters()  # parse here what the server would parse for its first explanation
    model.save(Path(sys.argv[2]))
    if model.registered is not None:
        print(model.registered.model_dump_json())
except ClvcastError as error:
    print(error, file=sys.stderr)
    sys.exit(3)
"""


def verify_in_subprocess(
    model: str, tracking_uri: str | None, expect_sha256: str | None = None
) -> TrainedModel:
    """Load a model that may be malformed; raises `BundleError` with the child's message."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "bundle"
        command = [sys.executable, "-c", _CHILD, model, str(copy), tracking_uri or ""]
        command += [] if expect_sha256 is None else [expect_sha256]
        try:
            child = subprocess.run(
                command, capture_output=True, text=True, timeout=_LONGEST, check=False
            )
        except subprocess.TimeoutExpired:
            raise BundleError(f"the model took more than {_LONGEST:g} s to load") from None
        if child.returncode == 3:
            raise BundleError(child.stderr.strip())
        if child.returncode != 0:
            raise BundleError("the model crashes the process that loads it; download it again")
        facts = child.stdout.strip()
        try:
            loaded = load_bundle(copy)
        except ClvcastError as error:
            raise BundleError(f"the model could not be loaded again: {error}") from None
        registered = RegistryFacts.model_validate_json(facts.splitlines()[-1]) if facts else None
        return replace(loaded, registered=registered)
