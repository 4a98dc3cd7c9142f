"""Numbers as people write them: signs of currencies, thousands, brackets, made plain.

Read are `1.234,56 kr`, `(US$ 5.00)`, `1,23,456.00`, `CHF 1'234.50`, `12,- €`; the decimal mark must
be told. What does not fit whole is no number: half a reading would be a wrong number that looks
right.
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
_SHAPES = ((r"\p{Lo}", "aa"), (r"[\p{L}\p{M}]", "a"), (r"\p{Sc}", "$"))
# Of shapes: a sign with letters, a word, an abbreviation with points. One letter alone before
# digits is no currency: it makes the number of an order. A Chinese or Japanese character is a word.
_CURRENCY = r"(?:a{0,3}\$a{0,3}|a{2,8}\.?|a\.|a{1,6}(?:\.a{1,6})+\.?|a/\.?)"
_WRITTEN = (
    r"^\(?[-+]? ?(?:CURRENCY ?){0,2}\(?[-+]? ?[0-9.,][0-9.,' ]*-? ?(?:CURRENCY ?){0,2}-?\)?$"
).replace("CURRENCY", _CURRENCY)
_NOT_OF_A_NUMBER = r"[\p{L}\p{M}][\p{L}\p{M}.]*|[\p{Sc}/()+-]"
_NOT_OF_A_CURRENCY = r"[^\p{L}\p{M}\p{Sc}/]+"


@lru_cache
def _get_groupings(decimal: str) -> tuple[str, str]:
    """Patterns of a number with thousands set apart, and of one without."""
    if decimal == ",":
        return r"^\d{1,3}([.' ]\d{3})+(,\d*)?$", r"^(\d+,?\d*|,\d+)$"
    lakh = r"\d{1,2}(,\d{2})+,\d{3}(\.\d*)?"
    return rf"^(\d{{1,3}}([,' ]\d{{3}})+(\.\d*)?|{lakh})$", PLAIN


def make_plain(cells: pa.StringArray, decimal: str) -> tuple[pa.StringArray, pa.StringArray]:
    """Numbers made plain, `NO_NUMBER` where a cell is none; and the currency that stands beside
    each.
    """
    if not pc.any(pc.match_substring_regex(cells, "[0-9]")).as_py():  # words alone
        count = len(cells)
        return pa.array([NO_NUMBER] * count, cells.type), pa.array([""] * count, cells.type)
    grouping, plain = _get_groupings(decimal)
    for pattern, replacement in _UNIFORM:
        cells = _replace(cells, pattern, replacement)
    cells = pc.utf8_trim_whitespace(cells)
    shapes = cells
    for pattern, replacement in _SHAPES:  # matching whole alphabets at once is forty times slower
        shapes = _replace(shapes, pattern, replacement)
    is_written = pc.match_substring_regex(shapes, _WRITTEN)
    opened, closed = pc.count_substring(cells, "("), pc.count_substring(cells, ")")
    negations = pc.add(opened, pc.count_substring(cells, "-"))
    is_signed_once = pc.and_(pc.equal(opened, closed), pc.less_equal(negations, 1))
    number = pc.utf8_trim_whitespace(_replace(cells, _NOT_OF_A_NUMBER, ""))
    grouped = pc.match_substring_regex(number, grouping)
    fits = pc.or_(grouped, pc.match_substring_regex(number, plain))
    fits = pc.and_(pc.and_(fits, is_written), is_signed_once)
    number = _replace(number, f"[' {'.' if decimal == ',' else ','}]", "")
    number = pc.replace_substring(number, ",", ".")
    number = pc.if_else(
        pc.equal(negations, 1), pc.binary_join_element_wise("-", number, ""), number
    )
    currency = pc.utf8_trim_whitespace(_replace(cells, _NOT_OF_A_CURRENCY, " "))
    number = pc.if_else(fits, number, NO_NUMBER)
    currency = pc.if_else(fits, currency, "")
    if decimal == ",":
        return number, currency
    # what is plain already may have an exponent, whose letter is no currency
    is_plain = pc.match_substring_regex(cells, PLAIN)
    return pc.if_else(is_plain, cells, number), pc.if_else(is_plain, "", currency)


def _replace(cells: pa.StringArray, pattern: str, replacement: str) -> pa.StringArray:
    """The cells with a pattern replaced; finding that there is nothing to replace is far
    cheaper.
    """
    if not pc.any(pc.match_substring_regex(cells, pattern)).as_py():
        return cells
    return pc.replace_substring_regex(cells, pattern, replacement)


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
