"""init: a first configuration for a source, as YAML with the evidence for every key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ..configs.orders import OPTIONAL_COLUMNS, REQUIRED_COLUMNS
from .proposal import Choice, Proposal
from .propose import propose_config

__all__ = ["init", "write_config_text"]

_ORDER = (
    "only", "except", "returns", "return_columns", "amount_per", "no_customer", "currency_column",
    "currency", "timezone", "max_rejected_share",
)  # fmt: skip
_COMMENT_COLUMN = 44
_WIDTH = 110


def init(source: str | Path, query: str | None = None) -> str:
    """The text of a configuration for the orders in `source`, from their columns and values.

    Parameters
    ----------
    source
        A file, a glob, a folder or a database's address.
    query
        A SELECT, where the source is a database without a table.

    Returns
    -------
    str
        YAML that parses. What the values do not tell stands in it as a question in a comment.

    Raises
    ------
    OrdersError
        Where there are no orders.
    """
    return write_config_text(propose_config(str(source), query))


def write_config_text(proposal: Proposal) -> str:
    """A proposal as YAML: every key with its evidence, every question as commented lines."""
    lines = [
        "# A configuration for clvcast; docs/configuration.md explains every key.",
        f"# Columns found: {', '.join(' '.join(name.split()) for name in proposal.names)}",
    ]
    if proposal.layout:
        lines += _wrap_comment(f"The file is of {proposal.layout}. Amount: {proposal.says}.", "")
    lines += ["orders:", *_format_entry("source", proposal.source, "", 2)]
    if proposal.query is not None:
        lines += _format_entry("query", proposal.query, "", 2)
    if proposal.layout:
        lines += _format_entry("layout", proposal.layout, "found by the header", 2)
    lines += _write_columns(proposal)
    chosen = {choice.key: choice for choice in proposal.choices}
    lines += _write_format(proposal, chosen)
    for key in _ORDER:
        if key in chosen:
            lines += _format_entry(key, chosen[key].value, chosen[key].why, 2)
        lines += _write_questions(proposal, key)
    if "currency" not in chosen and all(q.key != "currency" for q in proposal.questions):
        lines += _format_entry("currency", "", "for display, such as EUR", 2)
    horizon = chosen["horizon_days"]
    lines += [
        *_format_entry("horizon_days", horizon.value, horizon.why, 0),
        *_format_entry("periods", 4, "CLV spans periods x horizon_days", 0),
        "economics:",
        _write_margin(chosen),
        *_format_entry("annual_discount_rate", 0.0, "", 2),
        "tracking:",
        *_format_entry("uri", "sqlite:///mlflow.db", "", 2),
        *_format_entry("experiment", "clv", "", 2),
        *_format_entry("model_name", "clv", "", 2),
    ]
    return "\n".join(lines) + "\n"


def _write_margin(chosen: dict[str, Choice]) -> str:
    """The margin: measured where a cost was found, else a line to complete."""
    if "columns.cost" in chosen:
        return _add_comment("  margin_rate: measured", "from cost; or a number, such as 0.4")
    why = "margin per unit of spend; without it CLV is revenue, not profit"
    return _add_comment("  # margin_rate: 0.4", why)


def _write_columns(proposal: Proposal) -> list[str]:
    """The mapping; a column that is open stands in it as a comment, to be completed in its line."""
    chosen = {
        c.key.removeprefix("columns."): c for c in proposal.choices if c.key.startswith("columns.")
    }
    lines = [_add_comment("  columns:", "ours: theirs, or arithmetic over theirs")]
    if not chosen:
        lines = [_add_comment("  columns: {}", "name them below, and remove the {}")]
    for ours in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS):
        if ours in chosen:
            why = "" if ours == "amount" and proposal.layout else chosen[ours].why
            lines += _format_entry(ours, chosen[ours].value, why, 4)
        lines += _write_questions(proposal, f"columns.{ours}", "    # {}: {}")
    question_keys = {question.key for question in proposal.questions}
    open_ones = [
        o for o in OPTIONAL_COLUMNS if o not in chosen and f"columns.{o}" not in question_keys
    ]
    if open_ones:
        lines.append(f"    # not found, add where you have them: {', '.join(open_ones)}")
    return lines


def _write_format(proposal: Proposal, chosen: dict[str, Choice]) -> list[str]:
    keys = ("delimiter", "encoding", "skip_lines", "decimal", "date_format")
    lines = []
    for key in keys:
        if f"format.{key}" in chosen:
            choice = chosen[f"format.{key}"]
            lines += _format_entry(key, choice.value, choice.why, 4)
    form = "    # {}: {}" if lines else "  # format: {{{}: {}}}"
    questions = [q for key in keys for q in _write_questions(proposal, f"format.{key}", form)]
    return ["  format:", *lines, *questions] if lines else questions


def _write_questions(proposal: Proposal, key: str, form: str = "  # {}: {}") -> list[str]:
    """The questions about a key: what is asked, and a line per answer, to be uncommented."""
    lines = []
    for question in proposal.questions:
        if question.key != key:
            continue
        space = form[: len(form) - len(form.lstrip())]
        lines += _wrap_comment(
            ("REQUIRED: " if question.is_needed else "open: ") + question.asks, space
        )
        answers = question.answers or ((("", ""),) if question.is_needed else ())
        for value, meaning in answers:
            lines.append(_add_comment(form.format(key.rpartition(".")[2], value).rstrip(), meaning))
    return lines


def _format_entry(key: str, value: Any, why: str, indent: int) -> list[str]:
    """A key and its value, with the evidence behind it, or above where that is long."""
    space = " " * indent
    if isinstance(value, dict):
        lines = [f"{space}{key}:"]
        for name, values in value.items():
            lines.append(f"{space}  {format_yaml(name)}: {format_yaml(values)}")
    else:
        lines = [f"{space}{key}: {format_yaml(value)}"]
    if not why:
        return lines
    commented = _add_comment(lines[0], why)
    if len(commented) <= _WIDTH:
        return [commented, *lines[1:]]
    return [*_wrap_comment(why, space), *lines]


def _add_comment(line: str, comment: str) -> str:
    plain = " ".join(comment.split())
    return f"{line:<{_COMMENT_COLUMN}} # {plain}" if plain else line


def _wrap_comment(text: str, space: str) -> list[str]:
    """Words as comment lines of bounded width."""
    lines, line = [], f"{space}#"
    for word in text.split():
        if len(line) + len(word) + 1 > _WIDTH:
            lines.append(line)
            line = f"{space}#"
        line += f" {word}"
    return [*lines, line]


def format_yaml(value: Any) -> str:
    """YAML text that reads as `value`, on one line."""
    text = yaml.safe_dump(value, allow_unicode=True, width=10**6, default_flow_style=True)
    return text.removesuffix("\n").removesuffix("...").strip()
