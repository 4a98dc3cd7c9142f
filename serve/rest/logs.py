"""Logs: one line of JSON an event, with the request's id and nothing that came from a customer."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime

__all__ = ["JsonLines", "request_logger", "start_logging"]

request_logger = logging.getLogger("clvcast.requests")


class JsonLines(logging.Formatter):
    """A record as one line of JSON; of an error its type and places, not its words, which may quote data."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {"at": at, "level": record.levelname.lower()}
        own = getattr(record, "fields", None)
        if own is not None:
            line |= own
        elif record.exc_info is None:
            line["message"] = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            frames = traceback.extract_tb(record.exc_info[2])
            line["places"] = [f"{frame.filename}:{frame.lineno}" for frame in frames]
        return json.dumps(line)


def start_logging() -> None:
    """Send what the server and we say to stderr as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("uvicorn.error", "clvcast"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
