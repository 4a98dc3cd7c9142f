"""Customer ids: which ids mean nobody, which mean the same customer, and which were merged into
another.

Cleaning touches each distinct id once, and depends on that id alone.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...configs.schema import OrdersConfig
from ...errors import OrdersError
from ..plain_files import refuse_special_file
from .label_encoding import Ids, read_ids

__all__ = ["CustomerIdRules", "fold_ids", "load_id_rules"]

_INVISIBLE = r"[\p{Cf}\p{Cc}]"
_AROUND = " \t\"'`\u00a0\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb"


def fold_ids(ids: pa.StringArray) -> pa.StringArray:
    """Ids without what people do not tell apart: case, Unicode form, invisible signs, quotes
    around.

    >>> fold_ids(pa.array(["Ann@Example.org ", '"ann@example.org"'])).to_pylist()
    ['ann@example.org', 'ann@example.org']
    """
    if _is_printable_ascii(ids):  # the same, in a fifth of the time
        return pc.ascii_trim(pc.ascii_lower(ids), " \"'`")
    folded = pc.utf8_lower(pc.utf8_normalize(ids, "NFKC"))
    visible = pc.replace_substring_regex(folded, _INVISIBLE, "")
    return pc.utf8_trim(visible, _AROUND)


def _is_printable_ascii(ids: pa.StringArray) -> bool:
    """Whether all characters are of ASCII, from the space to the tilde."""
    if not pa.types.is_string(ids.type) or not len(ids) or ids.buffers()[2] is None:
        return False
    offsets = np.frombuffer(ids.buffers()[1], np.int32)[ids.offset :]
    text = np.frombuffer(ids.buffers()[2], np.uint8)[offsets[0] : offsets[len(ids)]]
    return bool(len(text) and text.min() >= ord(" ") and text.max() <= ord("~"))


@dataclass(frozen=True)
class CustomerIdRules:
    """What a shop says about its customer ids; without any, ids are taken as they stand."""

    is_folded: bool = False
    nobody: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)  # old -> new, of cleaned ids

    def read(self, column: pa.ChunkedArray) -> tuple[Ids, bool]:
        """A column of ids, missing where they mean nobody; and whether any was written 17850.0."""
        is_plain = not (self.is_folded or self.nobody or self.aliases)
        return read_ids(column, nulls_by_name=True, clean=None if is_plain else self.clean)

    def clean(self, labels: pa.StringArray) -> pa.StringArray:
        """The ids that distinct ids stand for; null for nobody."""
        cleaned = fold_ids(labels) if self.is_folded else labels
        if self.nobody:
            nobody = pc.is_in(pc.utf8_lower(cleaned), pa.array(self.nobody, pa.string()))
            cleaned = pc.if_else(pc.or_kleene(nobody, pc.equal(cleaned, "")), None, cleaned)
        if self.aliases:
            old = pa.array(list(self.aliases), pa.string())
            new = pa.array(list(self.aliases.values()), pa.string())
            place = pc.index_in(cleaned, old)
            cleaned = pc.coalesce(new.take(place), cleaned)
        return cleaned


def load_id_rules(config: OrdersConfig) -> CustomerIdRules:
    """The rules of a configuration; raises `OrdersError` for a file of aliases that cannot
    be used.
    """
    is_folded = config.customer_ids == "folded"
    plain = CustomerIdRules(is_folded)
    words = pa.chunked_array([pa.array(config.no_customer, pa.string())])
    cleaned = plain.read(words)[0].to_text().drop_null()  # 3.0 is 3, as in a column of ids
    nobody = tuple(pc.utf8_lower(cleaned).to_pylist())
    if config.customer_aliases is None:
        return CustomerIdRules(is_folded, nobody)
    aliases = _follow(_read_aliases(config.customer_aliases, plain), config.customer_aliases)
    return CustomerIdRules(is_folded, nobody, aliases)


def _read_aliases(path: str, rules: CustomerIdRules) -> dict[str, str]:
    """Old id -> new id, both cleaned as the ids of orders are."""
    try:
        refuse_special_file(Path(path))
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file)
            names = [name.strip() for name in lines.fieldnames or ()]
            if not {"old", "new"} <= set(names):
                raise OrdersError(
                    "orders.customer_aliases must have the columns old and new, got "
                    f"{names} in {path}"
                )
            lines.fieldnames = names
            pairs = [(line["old"] or "", line["new"] or "") for line in lines]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OrdersError(f"orders.customer_aliases {path} cannot be read: {error}") from None
    texts = pa.chunked_array([pa.array([text for pair in pairs for text in pair], pa.string())])
    ids = rules.read(texts)[0].to_text().to_pylist()
    aliases: dict[str, str] = {}
    for number, (old, new) in enumerate(zip(ids[::2], ids[1::2], strict=True), start=1):
        if old is None or new is None:
            raise OrdersError(
                f"{path} needs an id in old and new, got an empty one in row {number}"
            )
        if aliases.setdefault(old, new) != new:
            raise OrdersError(f"{path} names two new ids for the old id of row {number}; keep one")
    return aliases


def _follow(aliases: dict[str, str], path: str) -> dict[str, str]:
    """Each old id's last id: a -> b and b -> c make a -> c."""
    last: dict[str, str] = {}
    for old in aliases:
        visited, new = {old: None}, aliases[old]
        while new not in last and new in aliases and aliases[new] != new:
            if new in visited:
                raise OrdersError(
                    f"{path} leads in a circle through {len(visited)} ids; remove one of their rows"
                )
            visited[new] = None
            new = aliases[new]
        last |= dict.fromkeys(visited, last.get(new, new))
    return last
