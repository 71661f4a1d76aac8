"""A function lists the layers that it stands on, and no others."""

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import grimp
import pytest

from infra import template_map
from infra.template_map import Function

ROOT = Path(__file__).parents[2]
LAYERS = sorted(path.name for path in (ROOT / "layers").iterdir() if (path / "__init__.py").exists())

each_function = pytest.mark.parametrize("function", template_map.functions(), ids=lambda function: function.name)
each_layer = pytest.mark.parametrize("layer", LAYERS)


@functools.cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph("functions", "layers", exclude_type_checking_imports=True, cache_dir=None)


def _ports(module: str) -> set[str]:
    """Modules that a core module names as text, because core imports no store."""
    path = ROOT / f"{module.replace('.', '/')}.py"
    return set(re.findall(r'import_module\("(layers\.[\w.]+)"\)', path.read_text())) if path.exists() else set()


def _is_admitted(function: Function) -> bool:
    """Whether the HTTP door asks for session and limits."""
    source = (ROOT / "functions" / f"{function.name}.py").read_text()
    return "admits=False" not in source


def _stands_on(function: Function) -> set[str]:
    start = function.handler.rpartition(".")[0]
    reached: set[str] = set()
    ahead = [start]
    while ahead:
        module = ahead.pop()
        if module in reached:
            continue
        reached.add(module)
        ahead += _graph().find_modules_directly_imported_by(module)
        if module not in ("layers.core.admission", "layers.core.repeats") or _is_admitted(function):
            ahead += _ports(module)
    return {module.split(".")[1] for module in reached if module.startswith("layers.")}


@each_function
def test_the_layers_listed_are_the_layers_imported(function: Function) -> None:
    assert len(set(function.layers)) == len(function.layers)
    assert set(function.layers) == _stands_on(function)


@each_function
def test_a_function_has_at_most_five_layers(function: Function) -> None:
    assert 1 <= len(function.layers) <= 5


def test_every_endpoint_that_admits_needs_the_session_stores() -> None:
    admitted = [route.function for route in template_map.routes() if _is_admitted(route.function)]

    assert admitted
    assert all({"postgres", "valkey"} <= set(function.layers) for function in admitted)


def test_every_queue_function_can_retry() -> None:
    functions = [queue.function for queue in template_map.queues()]

    assert functions
    assert all("rabbitmq" in function.layers for function in functions)


def test_the_template_has_every_layer() -> None:
    assert len(LAYERS) >= 6
    assert sorted(template_map.layer_folders().values()) == LAYERS


def test_the_makefile_builds_every_layer() -> None:
    told = subprocess.run(
        ["make", "--dry-run", *(f"build-{logical_id}" for logical_id in template_map.layer_folders())],
        check=False,
        cwd=ROOT / "layers",
        capture_output=True,
        text=True,
    )

    assert told.returncode == 0, told.stderr


def _imported(layer: str) -> Iterator[str]:
    """Top-level names of what the layer imports, wherever it stands; what only type checkers see is left out."""
    for path in (ROOT / "layers" / layer).rglob("*.py"):
        module = ast.parse(path.read_text())
        hidden = {
            id(inner)
            for node in ast.walk(module)
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
        for node in ast.walk(module):
            if id(node) in hidden:
                continue
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module.split(".")[0]


def _required(layer: str) -> dict[str, str]:
    lines = (ROOT / "layers" / layer / "requirements.txt").read_text().split()
    return {_plain(name): version for name, _, version in (line.partition("==") for line in lines)}


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


@functools.cache
def _distributions() -> dict[str, set[str]]:
    """Top-level names and the packages that bring them."""
    return {name: {_plain(each) for each in several} for name, several in metadata.packages_distributions().items()}


OF_LAMBDA = {"boto3", "botocore"}
"""What Lambda's Python brings: core alone takes it from there, for it stands under every function."""


@each_layer
def test_a_layer_brings_the_packages_that_it_imports(layer: str) -> None:
    foreign = {name for name in _imported(layer) if name not in sys.stdlib_module_names | {"layers"}}
    brought = {**_required("core"), **_required(layer)}
    foreign -= OF_LAMBDA if layer == "core" else set()

    assert foreign
    assert {name for name in foreign if not _distributions()[name] & set(brought)} == set()


@each_layer
def test_a_layers_packages_are_pinned_as_in_the_lock(layer: str) -> None:
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.lock").read_text().lower(), re.MULTILINE))

    assert _required(layer)
    assert {name: locked.get(name) for name in _required(layer)} == _required(layer)


def _environment_reads(path: Path) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "environb"})
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and {"environ", "getenv"} & _names(node))
    ]


def _names(node: ast.ImportFrom) -> set[str]:
    return {alias.name for alias in node.names}


def test_the_environment_is_read_in_settings_alone() -> None:
    files = [path for folder in ("functions", "layers") for path in (ROOT / folder).rglob("*.py")]
    settings = ROOT / "layers" / "core" / "settings.py"

    assert _environment_reads(settings)
    assert [read for path in files if path != settings for read in _environment_reads(path)] == []


ALONE = """
import importlib, socket, sys

def refuse(*_):
    raise AssertionError("importing does nothing")

socket.socket.connect = socket.create_connection = refuse
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def test_every_handler_imports_with_an_empty_environment_and_without_any_service() -> None:
    modules = [function.handler.rpartition(".")[0] for function in template_map.functions()]
    told = subprocess.run(
        [sys.executable, "-c", ALONE, *modules],
        check=False,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )

    assert modules
    assert told.returncode == 0, told.stderr
    assert told.stdout == ""
