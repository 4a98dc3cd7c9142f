"""A real server on loopback, in a thread of the test's process."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx
from fastapi import APIRouter

from clvcast.serve.rest.model_holder import ModelHolder
from clvcast.serve.rest.server import format_url, prepare
from clvcast.serve.rest.settings import Settings


@contextmanager
def serving(
    models: ModelHolder, settings: Settings | None = None, pages: Sequence[APIRouter] = ()
) -> Iterator[httpx.Client]:
    """Serve on a free port; a client of it."""
    settings = dataclasses.replace(settings or Settings(), port=0)
    server, listening = prepare(models, settings, pages)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    address = format_url(listening, settings).replace("0.0.0.0", "127.0.0.1")
    try:
        with httpx.Client(base_url=address, timeout=180, trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()
