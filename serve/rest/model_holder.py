"""The models a server holds: the one that answers, the one before it, and how another takes its place.

A malformed tree text can kill or hang the process that parses it. So a child process loads a model first,
proves it by its golden rows and writes it anew into a folder of ours; only that is loaded here.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
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
    """The current model and the previous one; a swap is one assignment, so a request sees one or the other."""

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
        """Run the compiled code once; until then the server is not ready."""
        warm(self.current)
        self.is_warm = True

    def reload(self, name: str) -> TrainedModel:
        """Take a model by `models:/NAME@ALIAS` or by a path below the root; the old one answers until then.

        Raises `BundleError`, `StoreError` or `ConfigError`, `BlockingIOError` while another one is on
        its way; then nothing has changed.
        """
        with _only_one(self._changing):
            model = self._prepare(verify_in_subprocess(self._allowed(name), self._tracking_uri))
            warm(model)
            if model.version != self.current.version:
                self.previous = self.current
            self.current = model
            return model

    def rollback(self) -> TrainedModel:
        """Swap the current and the previous model; raises `ConfigError` where there is none."""
        with _only_one(self._changing):
            if self.previous is None:
                raise ConfigError("there is no previous model to go back to")
            self.current, self.previous = self.previous, self.current
            return self.current

    def _allowed(self, name: str) -> str:
        if name.startswith("models:/"):
            return name
        if self._root is None or ":" in name:
            raise ConfigError("a model is models:/NAME@ALIAS, or a path below --models-root")
        path = (self._root / name).resolve()
        if not path.is_relative_to(self._root.resolve()):
            raise ConfigError("a model's path must lie below --models-root")
        return str(path)


class _only_one:  # noqa: N801 - reads as a statement
    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise BlockingIOError

    def __exit__(self, *exception: object) -> None:
        self._lock.release()


_CHILD = """
import sys
from pathlib import Path
from clvcast.errors import ClvcastError
from clvcast.models.loading import load_model
try:
    model = load_model(sys.argv[1], sys.argv[3] or None)
    model.load_boosters()  # here, not first in the server by an explanation
    model.save(Path(sys.argv[2]))
    if model.registered is not None:
        print(model.registered.model_dump_json())
except ClvcastError as error:
    print(error, file=sys.stderr)
    sys.exit(3)
"""


def verify_in_subprocess(model: str, tracking_uri: str | None) -> TrainedModel:
    """Load a model that may be malformed; raises `BundleError` in the words of the child."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "bundle"
        command = [sys.executable, "-c", _CHILD, model, str(copy), tracking_uri or ""]
        try:
            child = subprocess.run(
                command, capture_output=True, text=True, timeout=_LONGEST, check=False
            )
        except subprocess.TimeoutExpired:
            raise BundleError(f"the model took more than {_LONGEST:g} s to load") from None
        if child.returncode == 3:
            raise BundleError(child.stderr.strip())
        if child.returncode != 0:
            raise BundleError("the model kills the process that loads it; fetch it again")
        about = child.stdout.strip()
        try:
            found = load_bundle(copy)
        except ClvcastError as error:
            raise BundleError(f"the model does not load a second time: {error}") from None
        registered = RegistryFacts.model_validate_json(about.splitlines()[-1]) if about else None
        return replace(found, registered=registered)
