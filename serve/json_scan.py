"""What a JSON body holds, counted in one pass before any object is built of it.

6 MB of `{},` are two million objects and 2 GB once they are parsed; counted, they are a few
milliseconds, without the interpreter's lock. The pass also finds a key that an object repeats, of
which parsers silently keep the last. It does not judge whether the body is JSON: the parser does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

__all__ = ["BodyCounts", "scan_json"]

_DEPTH = 16  # a request has 5 levels; deeper bodies are rejected
_KEYS = 256  # of one object, at most
_CUSTOMER, _LINE = 3, 5  # levels: {"customers": [{"orders": [{
_OBJECTS = _DEPTH + 1
_TOTAL = _DEPTH + 2  # places in the counts: objects per level, then commas
_FINE, _TOO_DEEP, _TOO_MANY_KEYS, _REPEATED_KEY = range(4)
_FAULTS = {
    _TOO_DEEP: f"must nest at most {_DEPTH} levels deep",
    _TOO_MANY_KEYS: f"must have at most {_KEYS} fields in one object",
    _REPEATED_KEY: "must not repeat a field within one object",
}
_ESCAPES = np.arange(256)  # the byte that an escaped one stands for
for _letter, _code in ((b"b", 8), (b"f", 12), (b"n", 10), (b"r", 13), (b"t", 9)):
    _ESCAPES[_letter[0]] = _code
_compiled = numba.njit(cache=True, nogil=True, no_cfunc_wrapper=True)


@dataclass(frozen=True)
class BodyCounts:
    """Counts of a body."""

    customers: int  # objects at the level of customers
    lines: int  # objects at the level of order lines
    objects: int  # of all levels
    commas: int  # each value but the first of its list or object follows one
    fault: str | None  # a rule that the body breaks


def scan_json(body: bytes) -> BodyCounts:
    """Count what a body holds; a body that is no JSON has counts too."""
    counts = np.zeros(_TOTAL, dtype=np.int64)
    outcome = _scan(np.frombuffer(body, dtype=np.uint8), counts)
    return BodyCounts(
        customers=int(counts[_CUSTOMER]),
        lines=int(counts[_LINE]),
        objects=int(counts[:_OBJECTS].sum()),
        commas=int(counts[_OBJECTS]),
        fault=_FAULTS.get(outcome),
    )


@_compiled
def _scan(body, counts):  # type: ignore[no-untyped-def]
    """Fill `counts`; stops at the first fault."""
    n = len(body)
    hashes = np.zeros((_OBJECTS, _KEYS), dtype=np.uint64)
    n_keys = np.zeros(_OBJECTS, dtype=np.int64)
    is_object = np.zeros(_OBJECTS, dtype=np.bool_)
    wants_key = np.zeros(_OBJECTS, dtype=np.bool_)
    depth = 0
    at = 0
    while at < n:
        sign = body[at]
        at += 1
        if sign == 34:  # "
            begin = at
            while at < n and body[at] != 34:
                at += 2 if body[at] == 92 else 1  # \ and what it escapes
            if wants_key[depth]:
                text_hash = _hash_text(body, begin, min(at, n))
                for k in range(n_keys[depth]):
                    if hashes[depth, k] == text_hash:
                        return _REPEATED_KEY
                if n_keys[depth] == _KEYS:
                    return _TOO_MANY_KEYS
                hashes[depth, n_keys[depth]] = text_hash
                n_keys[depth] += 1
                wants_key[depth] = False
            at += 1
        elif sign == 123 or sign == 91:  # { [
            if depth == _DEPTH:
                return _TOO_DEEP
            depth += 1
            is_object[depth] = wants_key[depth] = sign == 123
            n_keys[depth] = 0
            if sign == 123:
                counts[depth] += 1
        elif sign == 125 or sign == 93:  # } ]
            depth = max(depth - 1, 0)
        elif sign == 44:  # ,
            counts[_OBJECTS] += 1
            wants_key[depth] = is_object[depth]
    return _FINE


@_compiled
def _hash_text(body, begin, end):  # type: ignore[no-untyped-def]
    """FNV-1a of a string's UTF-8, escapes resolved: a text written in two ways is one."""
    hash_value = np.uint64(0xCBF29CE484222325)
    at = begin
    while at < end:
        code = np.int64(body[at])
        at += 1
        if code != 92 or at >= end:
            hash_value = _add_byte(hash_value, code)
            continue
        code = np.int64(body[at])
        at += 1
        if code != 117:  # u
            hash_value = _add_byte(hash_value, _ESCAPES[code])
            continue
        code = _read_hex(body, at, end)
        at += 4
        if 0xD800 <= code < 0xDC00 and at + 6 <= end and body[at] == 92 and body[at + 1] == 117:
            low = _read_hex(body, at + 2, end)
            if 0xDC00 <= low < 0xE000:
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
                at += 6
        if code < 0x80:
            hash_value = _add_byte(hash_value, code)
        elif code < 0x800:
            hash_value = _add_byte(hash_value, 0xC0 | code >> 6)
            hash_value = _add_byte(hash_value, 0x80 | code & 63)
        elif code < 0x10000:
            hash_value = _add_byte(hash_value, 0xE0 | code >> 12)
            hash_value = _add_byte(hash_value, 0x80 | code >> 6 & 63)
            hash_value = _add_byte(hash_value, 0x80 | code & 63)
        else:
            hash_value = _add_byte(hash_value, 0xF0 | code >> 18)
            hash_value = _add_byte(hash_value, 0x80 | code >> 12 & 63)
            hash_value = _add_byte(hash_value, 0x80 | code >> 6 & 63)
            hash_value = _add_byte(hash_value, 0x80 | code & 63)
    return hash_value


@_compiled
def _add_byte(found, code):  # type: ignore[no-untyped-def]
    return (found ^ np.uint64(code)) * np.uint64(0x100000001B3)


@_compiled
def _read_hex(body, begin, end):  # type: ignore[no-untyped-def]
    """The number of four hexadecimal digits; 0 where they are none."""
    code_point = np.int64(0)
    if begin + 4 > end:
        return code_point
    for at in range(begin, begin + 4):
        digit = np.int64(body[at])
        if 48 <= digit <= 57:
            code_point = code_point * 16 + digit - 48
        elif 97 <= (digit | 32) <= 102:
            code_point = code_point * 16 + (digit | 32) - 87
    return code_point
