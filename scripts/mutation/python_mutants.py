"""Python source → mutants: each a small fault of a kind that people make, and that a test should notice.

Not mutated: text, annotations, decorators, log calls, `__all__`, and imports, because a change there is either harmless
or obvious.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from scripts.mutation.mutant import Mutant

COMPARISONS: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Lt: ("<=",),
    ast.LtE: ("<",),
    ast.Gt: (">=",),
    ast.GtE: (">",),
    ast.Eq: ("!=",),
    ast.NotEq: ("==",),
    ast.Is: ("is not",),
    ast.IsNot: ("is",),
    ast.In: ("not in",),
    ast.NotIn: ("in",),
}
ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.FloorDiv: "*",
    ast.Mod: "*",
    ast.Pow: "*",
}
UNTOUCHED_CALLS = ("log.", "warnings.", "cast(")
EXCHANGED_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}
NO_CONTEXT = '__import__("contextlib").nullcontext()'


def mutants_of(path: str, source: str) -> list[Mutant]:
    """Return the mutants of a Python file, in the order of its lines."""
    finder = _Finder(path, source)
    finder.visit(ast.parse(source))
    return sorted(finder.found, key=lambda mutant: (mutant.start, mutant.end, mutant.change))


class _Finder(ast.NodeVisitor):
    def __init__(self, path: str, source: str) -> None:
        self.found: list[Mutant] = []
        self._path = path
        self._source = source
        self._encoded = source.encode()
        self._in_function = False
        self._starts = [0]
        for line in self._encoded.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def _offset(self, line: int, column: int) -> int:
        """Return the position as a number of characters. `ast` counts columns in bytes."""
        return len(self._encoded[: self._starts[line - 1] + column].decode())

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._offset(node.lineno, node.col_offset), self._offset(node.end_lineno, node.end_col_offset)

    def _text(self, node: ast.expr | ast.stmt) -> str:
        start, end = self._span(node)
        return self._source[start:end]

    def _add(self, line: int, start: int, end: int, text: str, change: str) -> None:
        self.found.append(Mutant(self._path, line, start, end, text, change))

    def _replace(self, node: ast.expr | ast.stmt, text: str, change: str | None = None) -> None:
        start, end = self._span(node)
        missing = self._source.count("\n", start, end) - text.count("\n")
        described = change or f"{_short(self._source[start:end])} → {_short(text)}"
        if missing and isinstance(node, ast.expr):  # an expression may span lines only in parentheses
            text = f"({text}" + "\n" * missing + ")"
        self._add(node.lineno, start, end, text, described)

    def _between(self, left: ast.expr, right: ast.expr, operator: str) -> None:
        """Replace what is between two operands."""
        start, end = self._span(left)[1], self._span(right)[0]
        between = self._source[start:end]
        lead = between[: len(between) - len(between.lstrip(" )\n"))]
        trail = between[len(between.rstrip(" (\n")) :]
        self._add(
            left.end_lineno or left.lineno,
            start,
            end,
            f"{lead}{operator}{trail}",
            f"{between.strip(' ()')} → {operator}",
        )

    # Parts that stay as they are

    def visit_Import(self, node: ast.Import) -> None: ...

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None: ...

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None: ...

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for default in [*node.args.defaults, *(value for value in node.args.kw_defaults if value)]:
            self.visit(default)
        outside, self._in_function = self._in_function, True
        for statement in node.body:
            self.visit(statement)
        self._in_function = outside

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for statement in node.body:
            self.visit(statement)

    # Operators and values

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
            for other in COMPARISONS[type(operator)]:
                self._between(left, right, other)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        other = "or" if isinstance(node.op, ast.And) else "and"
        for left, right in zip(node.values, node.values[1:], strict=False):
            self._between(left, right, other)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        other = ARITHMETIC.get(type(node.op))
        is_text = any(
            isinstance(side, ast.JoinedStr | ast.List | ast.Constant) and not _number(side) for side in _sides(node)
        )
        if other and not is_text:
            self._between(node.left, node.right, other)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._replace(node, f"bool({self._text(node.operand)})")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self._replace(node, str(not node.value))
        elif isinstance(node.value, int | float):
            # Constants of a module are limits and times: a slightly different value is usually just as valid.
            change = "+ 1" if self._in_function or not node.value else "* 10"
            self._replace(node, f"({self._text(node)} {change})")

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        if not isinstance(node.test, ast.Constant):
            self._negate(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._negate(test)
        self.generic_visit(node)

    def _negate(self, test: ast.expr) -> None:
        """A comparison or `not` already has its own mutant that does the same."""
        if not isinstance(test, ast.Compare | ast.UnaryOp) or (isinstance(test, ast.Compare) and len(test.ops) > 1):
            self._replace(test, f"(not ({self._text(test)}))")

    # Calls

    def visit_Call(self, node: ast.Call) -> None:
        if self._text(node).startswith(UNTOUCHED_CALLS):
            return
        if isinstance(node.func, ast.Name) and node.func.id in EXCHANGED_CALLS:
            self._replace(node.func, EXCHANGED_CALLS[node.func.id])
        for keyword in node.keywords:
            if keyword.arg and len(node.args) + len(node.keywords) > 1:
                self._drop_keyword(node, keyword)
        self.generic_visit(node)

    def _drop_keyword(self, call: ast.Call, keyword: ast.keyword) -> None:
        start = self._offset(keyword.lineno, keyword.col_offset)
        end = self._span(keyword.value)[1]
        following = self._source[end:].lstrip()
        if following.startswith(","):
            end = self._source.index(",", end) + 1
        elif following.startswith(")") and self._source[:start].rstrip().endswith(","):
            start = self._source.rindex(",", 0, start)
        else:
            return
        self._add(
            keyword.lineno, start, end, "", f"{_short(ast.unparse(call.func))}: drop {_short(ast.unparse(keyword))}"
        )

    # Statements

    def visit_Expr(self, node: ast.Expr) -> None:
        value = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(value, ast.Call):
            if not self._text(value).startswith(UNTOUCHED_CALLS):
                self._replace(node, "pass", f"delete {_short(ast.unparse(node))}")
                self.visit(value)
        elif isinstance(value, ast.Yield):
            self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
            return
        if all(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets):
            self._replace(node, "pass", f"delete {_short(ast.unparse(node))}")
        self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._replace(node, "pass", f"delete {_short(ast.unparse(node))}")
        self.visit(node.value)

    def visit_Delete(self, node: ast.Delete) -> None:
        self._replace(node, "pass", f"delete {_short(ast.unparse(node))}")

    def visit_Raise(self, node: ast.Raise) -> None:
        self._replace(node, "pass", f"delete {_short(ast.unparse(node))}")
        if node.exc is not None:
            self.visit(node.exc)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None:
            self._replace(node, "pass", "delete return")
        else:
            if not isinstance(node.value, ast.Constant):
                self._replace(node.value, "None")
            self.visit(node.value)

    def visit_Break(self, node: ast.Break) -> None:
        self._replace(node, "pass")

    def visit_Continue(self, node: ast.Continue) -> None:
        self._replace(node, "pass")

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        caught = node.type
        if isinstance(caught, ast.Tuple):
            for item in caught.elts:
                others = [self._text(other) for other in caught.elts if other is not item]
                self._replace(caught, f"({', '.join(others)},)", f"don't catch {_short(self._text(item))}")
        elif caught is not None and self._source[: self._span(caught)[0]].rstrip()[-1] != "*":
            self._replace(caught, "()", f"don't catch {_short(self._text(caught))}")
        for statement in node.body:
            self.visit(statement)

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            if item.optional_vars is None:
                described = f"without {_short(self._text(item.context_expr))}"
                self._replace(item.context_expr, NO_CONTEXT, described)
        self.generic_visit(node)

    visit_AsyncWith = visit_With


def _sides(node: ast.BinOp) -> Iterator[ast.expr]:
    yield node.left
    yield node.right


def _number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float)


def _short(text: str) -> str:
    joined = " ".join(text.split())
    return joined if len(joined) <= 70 else f"{joined[:69]}…"
