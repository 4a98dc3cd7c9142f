"""Find comparisons of order times in source code, to keep them in the modules that may make them.

A forecast leaks when a row is built from lines that its cutoff should hide. Such a mistake is a
comparison of an order's time in the wrong place. `find_comparisons` reads the syntax tree and
reports each one; it follows names inside one module, not from one module into another.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

# Variables, attributes and columns that hold the times of order lines, orders or dated facts.
_TIME = re.compile(r"(?!n_)(.*_)?(times?|time_us|ordered_at|order_dates?|valid_from|timestamps?)")
# Bounds that make a slice one of time: `frame.loc[:cutoff]`.
_INSTANT = re.compile(r"(.*_)?(cutoffs?|instants?)")
_COLUMN = r'\b"?(?:times?|time_us|ordered_at|valid_from)"?\b'
_TIME_IN_QUERY = re.compile(rf"{_COLUMN}\"?\s*(?:[<>]|between\b)|[<>]=?\s*{_COLUMN}", re.IGNORECASE)
_ORDERINGS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_COMPARING_CALLS = frozenset(
    {
        "between", "between_time", "bisect", "bisect_left", "bisect_right", "digitize", "ge",
        "greater", "greater_equal", "gt", "is_between", "le", "less", "less_equal", "lt",
        "searchsorted", "slice_indexer", "truncate",
    }
)  # fmt: skip # several words a line
_QUERY_CALLS = frozenset(
    {
        "eval", "execute", "filter", "query", "sql", "where",
    }
)  # fmt: skip # several words a line
# Calls that return times when they are given times; any other call returns something else.
_PASSING_CALLS = frozenset(
    {
        "abs", "array", "asarray", "ascontiguousarray", "astype", "cast", "col", "column",
        "concatenate", "copy", "field", "flatten", "floor_to_days", "getattr", "int", "int64",
        "max", "maximum", "min", "minimum", "partition", "ravel", "reshape", "sort", "sorted",
        "subtract", "take", "to_months", "to_numpy", "tolist", "view",
    }
)  # fmt: skip # several words a line


@dataclass(frozen=True)
class TimeComparison:
    """Where a module compares times: the function (`Class.method`, or `<module>`) and the line."""

    function: str
    line: int
    source: str


def find_comparisons(source: str) -> list[TimeComparison]:
    """Every place of a module that orders, searches or slices by the time of orders."""
    tree = ast.parse(source)
    search = _Search(tree)
    while True:
        size = len(search.time_parameters)
        search.found.clear()
        search.visit_scope(tree, "<module>", frozenset())
        if len(search.time_parameters) == size:
            return sorted(search.found, key=lambda place: (place.line, place.source))


class _Search:
    """One module's search. A parameter holds times if a call in the module gives it times."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: set[TimeComparison] = set()
        self.time_parameters: set[tuple[str, str]] = set()  # name of the function, of the parameter
        self._parameters = {
            node.name: [argument.arg for argument in node.args.args if argument.arg != "self"]
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef)
        }

    def visit_scope(self, scope: ast.AST, name: str, outer: frozenset[str]) -> None:
        """Search one module, class or function; inner scopes see the aliases of outer ones."""
        nodes, definitions = _split_scope(scope)
        function = name.split(".")[-1]
        given = {parameter for called, parameter in self.time_parameters if called == function}
        aliases = _collect_aliases(nodes, outer | given)
        for node in nodes:
            if _compares_time(node, aliases):
                place = TimeComparison(name, getattr(node, "lineno", 0), ast.unparse(node))
                self.found.add(place)
            if isinstance(node, ast.Call):
                self._follow_call(node, aliases)
        for definition in definitions:
            label = getattr(definition, "name", "<lambda>")
            inner = label if name == "<module>" else f"{name}.{label}"
            self.visit_scope(definition, inner, aliases)

    def _follow_call(self, call: ast.Call, aliases: frozenset[str]) -> None:
        """Note which parameters of the module's own functions receive times."""
        called = _name_call(call)
        arguments = list(zip(self._parameters.get(called, []), call.args, strict=False))
        arguments += [(keyword.arg or "", keyword.value) for keyword in call.keywords]
        for parameter, value in arguments:
            if parameter in self._parameters.get(called, []) and _is_time(value, aliases):
                self.time_parameters.add((called, parameter))


def _split_scope(scope: ast.AST) -> tuple[list[ast.AST], list[ast.AST]]:
    """The nodes that belong to the scope itself, and the definitions directly inside it."""
    nodes: list[ast.AST] = []
    inner: list[ast.AST] = []
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            inner.append(node)
        else:
            nodes.append(node)
            waiting += ast.iter_child_nodes(node)
    return nodes, inner


def _collect_aliases(nodes: list[ast.AST], outer: frozenset[str]) -> frozenset[str]:
    """Names and attributes that are assigned times, also by way of other aliases."""
    aliases = set(outer)
    while True:
        size = len(aliases)
        for node in nodes:
            for target, value in _iterate_assignments(node):
                if _is_time(value, aliases) and isinstance(target, ast.Name | ast.Attribute):
                    aliases.add(ast.unparse(target))
        if len(aliases) == size:
            return frozenset(aliases)


def _iterate_assignments(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Pairs of a target and the expression it takes its value from."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _pair_up(target, node.value)
    elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr) and node.value:
        yield node.target, node.value
    elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
        yield from _pair_up_items(node.target, node.iter)


def _pair_up(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """`a, b = x, y` is two assignments; `a, b = x` assigns from `x` to both."""
    if not isinstance(target, ast.Tuple | ast.List):
        yield target, value
    elif isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
        for one_target, one_value in zip(target.elts, value.elts, strict=True):
            yield from _pair_up(one_target, one_value)
    else:
        for one_target in target.elts:
            yield from _pair_up(one_target, value)


def _pair_up_items(target: ast.expr, items: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Loop variables; those of `zip` and `enumerate` belong to one argument each."""
    called = (
        items.func.id if isinstance(items, ast.Call) and isinstance(items.func, ast.Name) else ""
    )
    if isinstance(items, ast.Call) and isinstance(target, ast.Tuple):
        if called == "zip" and len(items.args) == len(target.elts):
            for one_target, one_items in zip(target.elts, items.args, strict=True):
                yield from _pair_up(one_target, one_items)
            return
        if called == "enumerate" and len(target.elts) == 2 and items.args:
            yield from _pair_up_items(target.elts[1], items.args[0])
            return
    yield from _pair_up(target, items)


def _is_time(node: ast.AST | None, aliases: set[str] | frozenset[str]) -> bool:
    """Whether an expression holds times: by its name, as an alias, or made from one that does."""
    if isinstance(node, ast.Name):
        return node.id in aliases or bool(_TIME.fullmatch(node.id))
    if isinstance(node, ast.Attribute):
        return ast.unparse(node) in aliases or bool(_TIME.fullmatch(node.attr))
    if isinstance(node, ast.Subscript):
        return _is_time(node.value, aliases) or _names_time_column(node.slice)
    if isinstance(node, ast.BinOp):
        return _is_time(node.left, aliases) or _is_time(node.right, aliases)
    if isinstance(node, ast.UnaryOp | ast.Starred):
        return _is_time(getattr(node, "operand", None) or getattr(node, "value", None), aliases)
    if isinstance(node, ast.IfExp):
        return _is_time(node.body, aliases) or _is_time(node.orelse, aliases)
    if isinstance(node, ast.Tuple | ast.List):
        return any(_is_time(item, aliases) for item in node.elts)
    if isinstance(node, ast.Call):
        called = _name_call(node)
        given = [*node.args, *([node.func.value] if isinstance(node.func, ast.Attribute) else [])]
        return called in _PASSING_CALLS and any(
            _is_time(one, aliases) or _names_time_column(one) for one in given
        )
    return False


def _names_time_column(node: ast.AST) -> bool:
    """Whether a subscript or argument is the name of a column of times."""
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and bool(_TIME.fullmatch(node.value))
    )


def _name_call(call: ast.Call) -> str:
    """The last part of what is called: `searchsorted` of `np.searchsorted(...)`."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _compares_time(node: ast.AST, aliases: frozenset[str]) -> bool:
    """Whether one node compares, searches or slices by time."""
    if isinstance(node, ast.Compare):
        operands = [node.left, *node.comparators]
        return any(
            isinstance(operator, _ORDERINGS)
            and (_is_time(left, aliases) or _is_time(right, aliases))
            for left, operator, right in zip(operands, node.ops, operands[1:], strict=False)
        )
    if isinstance(node, ast.Slice):
        return any(
            _is_time(bound, aliases) or _is_instant(bound) for bound in (node.lower, node.upper)
        )
    if isinstance(node, ast.Call):
        called = _name_call(node)
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        if called in _QUERY_CALLS:
            texts = [
                part.value
                for one in given
                for part in ast.walk(one)
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
            ]
            return any(_TIME_IN_QUERY.search(text) for text in texts)
        receiver = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        return called in _COMPARING_CALLS and any(
            _is_time(one, aliases) for one in [*given, *receiver]
        )
    return False


def _is_instant(bound: ast.expr | None) -> bool:
    """Whether a bound of a slice is an instant rather than a position."""
    if isinstance(bound, ast.Constant):
        return isinstance(bound.value, str)  # a date; positions are numbers
    if isinstance(bound, ast.Name):
        return bool(_INSTANT.fullmatch(bound.id))
    return isinstance(bound, ast.Attribute) and bool(_INSTANT.fullmatch(bound.attr))
