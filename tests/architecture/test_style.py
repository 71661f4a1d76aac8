"""Rules of style that keep handlers short and statements fixed."""

import ast
from collections.abc import Iterator
from pathlib import Path

from layers.postgres import columns

ROOT = Path(__file__).parents[2]
HANDLER_LINES = 20
COLUMN_LISTS = {name for name in vars(columns) if name.isupper()}


def _functions(folder: str) -> Iterator[tuple[Path, ast.FunctionDef]]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                yield path, node


def test_a_handler_has_at_most_twenty_lines() -> None:
    handlers = [(path, node) for path, node in _functions("functions") if node.name == "handler"]
    too_long = [
        f"{path.relative_to(ROOT)}: {node.end_lineno - node.lineno + 1} lines"
        for path, node in handlers
        if node.end_lineno and node.end_lineno - node.lineno >= HANDLER_LINES
    ]

    assert len(handlers) > 70
    assert too_long == []


def test_a_statement_holds_column_lists_and_nothing_else_that_varies() -> None:
    """Values reach PostgreSQL as parameters only."""
    modules = sorted((ROOT / "layers" / "postgres").glob("*.py"))
    inserted = [
        (path.name, ast.unparse(part.value))
        for path in modules
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.JoinedStr) and any(word in ast.unparse(node) for word in ("SELECT", "RETURNING"))
        for part in node.values
        if isinstance(part, ast.FormattedValue)
    ]

    assert inserted
    assert [each for each in inserted if each[1] not in COLUMN_LISTS] == []


def test_the_connection_is_the_first_argument_and_the_caller_owns_it() -> None:
    """Functions of `layers.postgres` take `db` first, the rest by keyword, and open no connection."""
    modules = [path for path in sorted((ROOT / "layers" / "postgres").glob("*.py")) if path.stem != "connection"]
    opening = [path.name for path in modules if "autocommit(" in path.read_text()]
    wrong = [
        f"{path.name}: {node.name}"
        for path, node in _functions("layers/postgres")
        if path in modules
        and any(argument.arg == "db" for argument in [*node.args.args, *node.args.kwonlyargs])
        and not node.name.startswith("_")
        and [argument.arg for argument in node.args.args] not in (["db"], ["db", "event"])
    ]

    assert opening == []
    assert wrong == []
