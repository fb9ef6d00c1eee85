"""The house style that can be counted: small typed functions, documented names, imports that go down."""

import ast
import io
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "tidegate"
FILES = sorted(
    path for path in PACKAGE.rglob("*.py") if "scaffold" not in path.relative_to(PACKAGE).parts[:-1]
)
SILENT = (
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
)

MAX_FUNCTION_LINES = 60
MAX_FILE_LINES = 300
MAX_ARGUMENTS = 4
MAX_POSITIONAL = 2

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Named(NamedTuple):
    """A function, class or module by the path that finds it."""

    where: str
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module
    public: bool


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _names(path: Path) -> Iterator[Named]:
    yield Named(str(path.relative_to(ROOT)), _tree(path), public=True)
    yield from _below(str(path.relative_to(ROOT)), _tree(path), public=True)


def _below(where: str, parent: ast.AST, *, public: bool) -> Iterator[Named]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{where}:{node.lineno} {node.name}"
            seen = public and not node.name.startswith("_")
            yield Named(name, node, seen)
            yield from _below(where, node, public=seen and isinstance(node, ast.ClassDef))
        else:
            yield from _below(where, node, public=public)


def _functions() -> list[tuple[str, Function]]:
    found = [named for path in FILES for named in _names(path)]
    return [(item.where, item.node) for item in found if isinstance(item.node, Function)]


def _code_lines(path: Path) -> int:
    """Lines that hold code: no blank line, comment or docstring counts."""
    text = path.read_text(encoding="utf-8")
    tokens = [
        token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type not in SILENT
    ]
    lines = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    return len(lines - _docstring_lines(ast.parse(text)))


def _docstring_lines(tree: ast.Module) -> set[int]:
    texts = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    return {line for text in texts for line in range(text.lineno, (text.end_lineno or text.lineno) + 1)}


def _arguments(function: Function) -> list[ast.arg]:
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    return [arg for arg in every if arg.arg not in ("self", "cls")]


def _is_typed(function: Function) -> bool:
    rest = [arg for arg in (function.args.vararg, function.args.kwarg) if arg]
    return function.returns is not None and all(arg.annotation for arg in (*_arguments(function), *rest))


def test_every_function_is_fully_typed() -> None:
    assert [where for where, function in _functions() if not _is_typed(function)] == []


def test_every_public_name_says_what_it_is_for() -> None:
    named = [item for path in FILES for item in _names(path) if item.public]
    empty = [item.where for item in named if isinstance(item.node, ast.Module) and not item.node.body]
    assert [
        item.where for item in named if not ast.get_docstring(item.node) and item.where not in empty
    ] == []


def test_no_function_is_longer_than_a_screen() -> None:
    lengths = [(where, (node.end_lineno or 0) - node.lineno + 1) for where, node in _functions()]
    assert [(where, lines) for where, lines in lengths if lines > MAX_FUNCTION_LINES] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_holds_more_than_one_idea_can_need(path: Path) -> None:
    assert _code_lines(path) <= MAX_FILE_LINES


def test_no_boolean_is_passed_by_position() -> None:
    overridden = {"construct_mapping"}  # PyYAML's signature
    wrong = [
        where
        for where, function in _functions()
        for arg in function.args.args
        if isinstance(arg.annotation, ast.Name) and arg.annotation.id == "bool"
        if function.name not in overridden
    ]
    assert wrong == []


def test_decisions_read_no_clock_file_or_chance() -> None:
    forbidden = {"time", "datetime", "random", "os", "pathlib", "secrets", "subprocess", "socket"}
    pure = [path for path in FILES if path.name == "decide.py"]
    assert pure
    assert [
        (path.parent.name, sorted(_imported(path) & forbidden))
        for path in pure
        if _imported(path) & forbidden
    ] == []


def _imported(path: Path) -> set[str]:
    nodes = list(ast.walk(_tree(path)))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {
        name.partition(".")[0]
        for name in plain | {n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)}
    }


def test_imports_go_strictly_down() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
