"""Numbers as people write them: signs of currencies, thousands, brackets, made plain.

Read are `1.234,56 kr`, `(US$ 5.00)`, `1,23,456.00`, `CHF 1'234.50`, `12,- €`; the decimal mark must be told.
What does not fit whole is no number: half a reading would be a wrong number that looks right.
"""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["NO_NUMBER", "PLAIN", "make_plain", "suggest_decimal"]

PLAIN = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
NO_NUMBER = "?"
_MOST_OF = 0.9  # a decimal mark that reads fewer of the cells is not suggested
_SPACES = r"[\s\x{00a0}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}]+"
_UNIFORM = (  # what is written in several ways, in one
    (r"\p{Cf}", ""),  # marks of the direction of writing
    (_SPACES, " "),
    (r"[\x{2212}\x{2013}\x{2014}]", "-"),
    (r"[\x{2018}\x{2019}\x{02bc}]", "'"),
    (r"([.,])-+", r"\1"),  # 12,- has no cents and is not negative
)
# A sign with letters, a word, an abbreviation with points, a Chinese or Japanese character. A letter alone
# before digits is no currency: it makes the number of an order.
_CURRENCY = (
    r"(?:\p{L}{0,3}\p{Sc}\p{L}{0,3}|[\p{L}\p{M}]{2,5}\.?|\p{L}\.|\p{Lo}"
    r"|\p{L}{1,3}(?:\.\p{L}{1,3})+\.?|S/\.?)"
)
_WRITTEN = (
    r"^(?P<open>\()? ?(?P<sign>[-+])? ?(?P<before>(?:CURRENCY ?){0,2})(?P<inner_open>\()?"
    r"(?P<inner_sign>[-+])? ?(?P<number>[0-9.,][0-9.,' ]*?(?:[eE][+-]?[0-9]{1,3})?) ?"
    r"(?P<end>-)? ?(?P<after>(?:CURRENCY ?){0,2})(?P<last>-)?(?P<close>\))?$"
).replace("CURRENCY", _CURRENCY)

_PARTS = (
    *("open", "sign", "before", "inner_open", "inner_sign"),
    *("number", "end", "after", "last", "close"),
)


@lru_cache
def _get_groupings(decimal: str) -> tuple[str, str]:
    """Patterns of a number with thousands set apart, and of one without."""
    if decimal == ",":
        return r"^\d{1,3}([.' ]\d{3})+(,\d*)?$", r"^(\d+,?\d*|,\d+)$"
    lakh = r"\d{1,2}(,\d{2})+,\d{3}(\.\d*)?"
    return rf"^(\d{{1,3}}([,' ]\d{{3}})+(\.\d*)?|{lakh})$", PLAIN


def make_plain(cells: pa.StringArray, decimal: str) -> tuple[pa.StringArray, pa.StringArray]:
    """Numbers made plain, `NO_NUMBER` where a cell is none; and the currency that stands beside each."""
    for pattern, replacement in _UNIFORM:
        cells = pc.replace_substring_regex(cells, pattern, replacement)
    found = pc.extract_regex(pc.utf8_trim_whitespace(cells), _WRITTEN)
    part = {name: pc.fill_null(pc.struct_field(found, name), "") for name in _PARTS}
    number = part["number"]
    grouping, plain = _get_groupings(decimal)
    grouped = pc.match_substring_regex(number, grouping)
    bare = pc.replace_substring_regex(number, f"[' {'.' if decimal == ',' else ','}]", "")
    number = pc.if_else(grouped, bare, number)
    fits = pc.or_(grouped, pc.match_substring_regex(number, plain))
    number = pc.replace_substring(number, ",", ".")
    opened = pc.binary_join_element_wise(part["open"], part["inner_open"], "")
    closed = pc.equal(pc.utf8_length(opened), pc.utf8_length(part["close"]))
    signs = pc.binary_join_element_wise(
        part["sign"], part["inner_sign"], part["end"], part["last"], opened, ""
    )
    fits = pc.and_(pc.and_(fits, closed), pc.less_equal(pc.utf8_length(signs), 1))
    is_negative = pc.is_in(signs, pa.array(["-", "("]))
    signed = pc.if_else(is_negative, pc.binary_join_element_wise("-", number, ""), number)
    currency = pc.binary_join_element_wise(part["before"], part["after"], " ")
    currency = pc.utf8_trim(pc.replace_substring(currency, "  ", " "), " .")
    return pc.if_else(fits, signed, NO_NUMBER), pc.if_else(fits, currency, "")


def suggest_decimal(sample: pa.StringArray, tried: str | None) -> str:
    """What to set so that numbers like these are read; empty where nothing would do."""
    if not len(sample):
        return ""
    readable = {
        decimal: len(sample) - (pc.sum(pc.equal(make_plain(sample, decimal)[0], NO_NUMBER)).as_py())
        for decimal in (",", ".")
        if decimal != tried
    }
    most = max(readable.values())
    if most < _MOST_OF * len(sample):
        return ""
    fits = " or ".join(f'"{decimal}"' for decimal, count in readable.items() if count == most)
    condition = "" if tried is None else " if all are written so"
    return f"set orders.format.decimal: {fits}{condition}"
