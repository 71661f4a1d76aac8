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
PACKAGES = sorted(path.name for path in (ROOT / "layers").iterdir() if (path / "__init__.py").exists())
LAYER_OF = {
    package: template_map.layer_folders()[logical_id]
    for logical_id, packages in template_map.layer_packages().items()
    for package in packages
}
"""The layer (its folder's name) whose archive holds a package."""
LAYERS = sorted(set(LAYER_OF.values()))

each_function = pytest.mark.parametrize("function", template_map.functions(), ids=lambda function: function.name)
each_layer = pytest.mark.parametrize("layer", LAYERS)


@functools.cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph("functions", "layers", exclude_type_checking_imports=True, cache_dir=None)


def _needed(function: Function) -> set[str]:
    """The layers that hold what a function imports, directly or through other modules."""
    module = function.handler.rpartition(".")[0]
    imported = _graph().find_upstream_modules(module)
    return {LAYER_OF[name.split(".")[1]] for name in imported if name.count(".") > 1 and name.startswith("layers.")}


@each_function
def test_the_layers_listed_are_the_layers_imported(function: Function) -> None:
    assert len(set(function.layers)) == len(function.layers)
    assert set(function.layers) == _needed(function)


@each_function
def test_a_function_has_at_most_five_layers(function: Function) -> None:
    assert 1 <= len(function.layers) <= 5


def test_each_package_is_in_one_layer() -> None:
    packed = [package for packages in template_map.layer_packages().values() for package in packages]

    assert sorted(packed) == PACKAGES


def test_the_makefile_packs_what_the_template_map_says() -> None:
    printed = subprocess.run(
        ["make", "--silent", "packages"], check=True, cwd=ROOT / "layers", capture_output=True, text=True
    ).stdout

    packed = {logical_id: set(packages) for logical_id, *packages in map(str.split, printed.splitlines())}
    assert packed == {logical_id: set(packages) for logical_id, packages in template_map.layer_packages().items()}


def test_the_makefile_builds_every_layer() -> None:
    dry_run = subprocess.run(
        ["make", "--dry-run", *(f"build-{logical_id}" for logical_id in template_map.layer_folders())],
        check=False,
        cwd=ROOT / "layers",
        capture_output=True,
        text=True,
    )

    assert dry_run.returncode == 0, dry_run.stderr


def test_no_module_of_the_layers_imports_itself_through_others() -> None:
    graph = _graph()
    circular = [
        module
        for module in graph.modules
        if any(
            module in graph.find_upstream_modules(imported)
            for imported in graph.find_modules_directly_imported_by(module)
        )
    ]

    assert len(graph.modules) > 150
    assert circular == []


def test_no_module_of_ours_is_loaded_by_name() -> None:
    """Only the hosts load modules by name: the handlers that the template names."""
    files = [path for folder in ("functions", "layers") for path in (ROOT / folder).rglob("*.py")]
    loading = [path for path in files if re.search(r"importlib|__import__", path.read_text())]

    assert len(files) > 150
    assert loading == []


def _imported(layer: str) -> Iterator[str]:
    """Top-level names of what the layer imports, wherever it stands; what only type checkers see is left out."""
    for path in _files(layer):
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


def _files(layer: str) -> Iterator[Path]:
    for package in (package for package in PACKAGES if LAYER_OF[package] == layer):
        yield from (ROOT / "layers" / package).rglob("*.py")


def _required(layer: str) -> dict[str, str]:
    lines = (ROOT / "layers" / layer / "requirements.txt").read_text().splitlines()
    pinned = (line.partition(" ;")[0].partition("==") for line in lines)
    return {_plain(name): version for name, _, version in pinned}


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


@functools.cache
def _distributions() -> dict[str, set[str]]:
    """Top-level names and the packages that bring them."""
    return {name: {_plain(each) for each in several} for name, several in metadata.packages_distributions().items()}


OF_LAMBDA = {"boto3", "botocore"}
"""What Lambda's Python brings: core alone takes it from there, for it stands under every function."""


@each_layer
def test_a_layer_contains_the_packages_that_it_imports(layer: str) -> None:
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
    completed = subprocess.run(
        [sys.executable, "-c", ALONE, *modules],
        check=False,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )

    assert modules
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout == ""
