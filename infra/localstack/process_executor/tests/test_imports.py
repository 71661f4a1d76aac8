"""The package depends only on the standard library, LocalStack and, in the runtime's process, awslambdaric."""
# ruff: noqa: D103, S101

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "localstack_process_executor"
ALLOWED = {
    "executor.py": {"localstack"},
    "plugin.py": {"localstack"},
    "inside/runtime/bootstrap.py": {"awslambdaric"},
}


def imported(source: str) -> Iterator[str]:
    """The top-level names of absolute imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module).partition(".")[0]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_it_may(path: Path) -> None:
    third_party = set(imported(path.read_text())) - sys.stdlib_module_names
    assert third_party <= ALLOWED.get(str(path.relative_to(PACKAGE)), set())
