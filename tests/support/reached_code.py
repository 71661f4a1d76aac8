"""What the code of a function reaches: every definition that it names, directly or through others that it names.

It is an upper bound: a name that is only passed on counts as used, and a class with all its methods.
"""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tests.support.stack import ROOT

type Definition = tuple[str, str]
"""Module and name, such as `("layers.media.connection", "put_all")`."""


class _Module(msgspec.Struct, frozen=True):
    """The definitions at the top of a module, and what its imports mean."""

    definitions: dict[str, ast.stmt]
    modules: dict[str, str]
    """Imported modules by the name that they have here."""
    names: dict[str, Definition]
    """Imported definitions by the name that they have here."""


@functools.cache
def reached_from(module: str) -> frozenset[Definition]:
    """All definitions that a module reaches, its own included."""
    waiting = [(module, name) for name in _read(module).definitions]
    reached: set[Definition] = set()
    while waiting:
        found = waiting.pop()
        if found not in reached:
            reached.add(found)
            waiting += _named_in(found)
    return frozenset(reached)


def definition(found: Definition) -> ast.stmt | None:
    """The code of a definition; None for a name that its module only imports."""
    module, name = found
    return _read(module).definitions.get(name)


@functools.cache
def _named_in(found: Definition) -> frozenset[Definition]:
    """The definitions of this repository that a definition names."""
    module, name = found
    here = _read(module)
    if name in here.names:
        return frozenset({here.names[name]})
    if name not in here.definitions:
        return frozenset()
    return frozenset(_references(here.definitions[name], module, here))


def _references(node: ast.AST, module: str, here: _Module) -> Iterator[Definition]:
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name) and each.value.id in here.modules:
            yield here.modules[each.value.id], each.attr
        elif isinstance(each, ast.Name) and (each.id in here.definitions or each.id in here.names):
            yield module, each.id


@functools.cache
def _read(module: str) -> _Module:
    tree = ast.parse(_file(module).read_text())
    definitions: dict[str, ast.stmt] = {}
    for node in tree.body:
        for name in _defined_names(node):
            definitions[name] = node
    modules: dict[str, str] = {}
    names: dict[str, Definition] = {}
    for each in ast.walk(tree):
        if isinstance(each, ast.ImportFrom) and (each.module or "").partition(".")[0] in {"layers", "functions"}:
            for alias in each.names:
                full = f"{each.module}.{alias.name}"
                if _file(full).exists():
                    modules[alias.asname or alias.name] = full
                else:
                    names[alias.asname or alias.name] = (str(each.module), alias.name)
    return _Module(definitions, modules, names)


def _defined_names(node: ast.stmt) -> list[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.TypeAlias(name=ast.Name(id=name)) | ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case ast.Assign(targets=targets):
            return [each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]
    return []


def _file(module: str) -> Path:
    return ROOT / f"{module.replace('.', '/')}.py"
