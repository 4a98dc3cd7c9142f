"""The registry: which version of a model serves, how that came about, and rollback.

Two aliases: `champion` serves, `candidate` is the newest that `train` registered. A promotion
writes down first what it will replace and why, then moves the alias, which is one write: killed at
any point, either the old champion serves or the new one, each with its own way back. Said twice,
`promote N` and `rollback` change nothing the second time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ...configs.addresses import format_models_command
from ...errors import ConfigError, StoreError
from ...models.loading import find_existing_store
from ...models.registry_facts import DATA_SPAN, MEASURE, VERDICT, VERDICT_REASON
from .mlflow_store import Store, Version, open_for_reading, open_for_writing

__all__ = [
    "CANDIDATE",
    "CHAMPION",
    "MODEL_VERSION",
    "Change",
    "VersionSummary",
    "find_rollback",
    "list_models",
    "promote",
    "promote_in",
    "refuse_in",
    "rollback",
]

CHAMPION = "champion"
CANDIDATE = "candidate"
MODEL_VERSION = "clvcast.model_version"  # tag: the bundle's own version
VERDICT_AT = "clvcast.verdict_at"
_PREVIOUS = "clvcast.previous_champion"  # tag: what the version replaced
_ROLLED_BACK = "clvcast.rolled_back"  # tag: when and why it was taken down
_HISTORY = "clvcast.history."  # tags of the model: instant -> what was done
_MOST_REASON = 1_000  # characters a tag keeps


@dataclass(frozen=True)
class VersionSummary:
    """A version as `models list` shows it."""

    version: str
    aliases: tuple[str, ...]
    registered_at: str
    model_version: str
    data: str  # the span of the orders it learned from
    measures: Mapping[str, str]
    verdict: str
    reason: str
    tags: Mapping[str, str]  # of the user


@dataclass(frozen=True)
class Change:
    """What a promotion or a rollback did."""

    model: str
    champion: str
    previous: str | None
    changed: bool
    sentence: str


def list_models(
    name: str, tracking_uri: str | None = None
) -> tuple[list[VersionSummary], list[str]]:
    """The versions of a model, newest first, and what was done with them, oldest first.

    Raises `StoreError` where the store or the model is not there.
    """
    store = open_for_reading(tracking_uri)
    versions = store.versions(name)
    if not versions:
        raise StoreError(f"the MLflow store has no model {name}; train one first")
    return [_summarize_version(version) for version in versions], read_history(store, name)


def _summarize_version(version: Version) -> VersionSummary:
    tags = version.tags
    return VersionSummary(
        version=version.number,
        aliases=version.aliases,
        registered_at=version.registered_at,
        model_version=tags.get(MODEL_VERSION, ""),
        data=tags.get(DATA_SPAN, ""),
        measures={k.removeprefix(MEASURE): v for k, v in tags.items() if k.startswith(MEASURE)},
        verdict=tags.get(VERDICT, ""),
        reason=tags.get(_ROLLED_BACK) or tags.get(VERDICT_REASON, ""),
        tags={k: v for k, v in tags.items() if not k.startswith(("clvcast.", "mlflow."))},
    )


def read_history(store: Store, name: str) -> list[str]:
    """The dated log of a model, oldest first."""
    tags = store.model_tags(name)
    entries = sorted(key for key in tags if key.startswith(_HISTORY))
    return [f"{key.removeprefix(_HISTORY)} {_format_entry(tags[key])}" for key in entries]


def _format_entry(entry: str) -> str:
    try:
        done = json.loads(entry)
        before = f" (before: version {done['previous']})" if done["previous"] else ""
        return f"{done['action']} version {done['version']}{before}: {done['reason']}"
    except (ValueError, KeyError, TypeError):
        return entry  # written by another hand


def promote(name: str, number: str, reason: str, tracking_uri: str | None = None) -> Change:
    """Make a version champion by hand, gate or not; the reason is kept with the date.

    Raises `StoreError` where there is no such version, `ConfigError` without a reason.
    """
    with open_for_writing(find_existing_store(tracking_uri)) as store:
        return promote_in(store, name, number, _check_reason(reason))


def promote_in(
    store: Store,
    name: str,
    number: str,
    reason: str,
    expected: str | None = "",
    verdict: str = "promoted",
) -> Change:
    """Make a version of an open store champion.

    `expected` is the champion the decision rests on (None: none): where another serves by now,
    `StoreError` asks for another run.
    """
    champion = store.aliased(name, CHAMPION)
    serving = champion.number if champion else None
    if expected != "" and serving != expected:
        raise StoreError(
            f"another run promoted version {serving} of {name} meanwhile; this candidate "
            f"is kept as version {number}: train again to judge it against the new champion"
        )
    version = store.version(name, number)
    if serving == number:
        sentence = f"version {number} of {name} is the champion already"
        return Change(name, number, serving, False, sentence)
    tags = {VERDICT: verdict, VERDICT_REASON: reason[:_MOST_REASON], VERDICT_AT: _get_time()}
    store.tag_version(name, version.number, {_PREVIOUS: serving or "", **tags, _ROLLED_BACK: ""})
    _log_change(store, name, "promote", number, serving, reason)
    store.set_alias(name, CHAMPION, number)
    before = f", before it version {serving}" if serving else ""
    return Change(name, number, serving, True, f"version {number} of {name} is champion{before}")


def refuse_in(store: Store, name: str, number: str, reason: str) -> None:
    """Note on a version that the gate refused it, and why."""
    tags = {VERDICT: "refused", VERDICT_REASON: reason[:_MOST_REASON], VERDICT_AT: _get_time()}
    store.tag_version(name, number, tags)
    _log_change(store, name, "refuse", number, None, reason)


def rollback(name: str, reason: str = "", tracking_uri: str | None = None) -> Change:
    """Give the champion's place back to the version it replaced; a second time nothing changes.

    Raises `StoreError` where there is no champion, or none before it.
    """
    with open_for_writing(find_existing_store(tracking_uri)) as store:
        champion = store.aliased(name, CHAMPION)
        if champion is None:
            raise StoreError(
                f"{name} has no champion to roll back from; promote a version by its number; see: "
                + format_models_command(name, store.uri, "list")
            )
        undone = [v for v in store.versions(name) if find_rollback(v)]
        newest = max(undone, key=lambda v: v.tags[_ROLLED_BACK], default=None)
        at = champion.tags.get(VERDICT_AT, "")
        if (
            newest
            and newest.tags.get(_PREVIOUS) == champion.number
            and (newest.tags[_ROLLED_BACK] > at)
        ):
            sentence = (
                f"version {champion.number} of {name} is champion since version "
                f"{newest.number} was rolled back; to go further back, promote a version by its "
                "number; see: " + format_models_command(name, store.uri, "list")
            )
            return Change(name, champion.number, newest.number, False, sentence)
        previous = champion.tags.get(_PREVIOUS)
        if not previous:
            raise StoreError(f"version {champion.number} of {name} replaced none: no way back")
        target = store.version(name, previous)  # deleted since: a sentence says so
        why = reason.strip() or "no reason given"
        note = f"{_get_time()}: {why}"[:_MOST_REASON]
        # first what happens, then the alias: interrupted in between, a second rollback resumes here
        store.tag_version(name, champion.number, {_ROLLED_BACK: note, VERDICT: "rolled back"})
        _log_change(store, name, "rollback to", target.number, champion.number, why)
        store.set_alias(name, CHAMPION, target.number)
        sentence = (
            f"version {target.number} of {name} is champion again, version {champion.number} is not"
        )
        return Change(name, target.number, champion.number, True, sentence)


def find_rollback(version: Version) -> str | None:
    """When and why a version was taken down; None where it was not, or was promoted again since."""
    return version.tags.get(_ROLLED_BACK) or None


def _check_reason(reason: str) -> str:
    if not reason.strip():
        raise ConfigError('a promotion by hand needs a reason: --reason "..."')
    return f"by hand: {reason.strip()}"


def _log_change(
    store: Store, name: str, action: str, number: str, previous: str | None, reason: str
) -> None:
    entry = {"action": action, "version": number, "previous": previous, "reason": reason}
    entry["reason"] = reason[:_MOST_REASON]
    store.tag_model(name, f"{_HISTORY}{_get_time()}", json.dumps(entry))


def _get_time() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
