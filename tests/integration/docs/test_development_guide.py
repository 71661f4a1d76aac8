"""The function that docs/development.md adds in five minutes, run with the test that stands beside it."""

import importlib.util
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

import functions.users
from tests.support import calls
from tests.support.people import Person

ROOT: Final = Path(__file__).parents[3]
NAME: Final = "functions.users.count_posts"
_BLOCK: Final = re.compile(r"^ *```python\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def _samples() -> list[str]:
    """The guide's Python blocks: the function, then its test."""
    blocks = _BLOCK.findall((ROOT / "docs" / "development.md").read_text())
    return ["\n".join(line.removeprefix("   ") for line in block.splitlines()) + "\n" for block in blocks]


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The function as a module of its area, with the event that the guide says to make of that of another."""
    file = tmp_path / "count_posts.py"
    file.write_text(_samples()[0])
    spec = importlib.util.spec_from_file_location(NAME, file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, NAME, module)
    monkeypatch.setattr(functions.users, "count_posts", module, raising=False)
    event = json.loads((ROOT / "events" / "users" / "get_profile.json").read_text())
    for key in ("resource", "path"):
        event[key] += "/posts/count"
    (tmp_path / "users").mkdir()
    (tmp_path / "users" / "count_posts.json").write_text(json.dumps(event))
    monkeypatch.setattr(calls, "EVENTS", tmp_path)
    return module


@pytest.mark.usefixtures("sample")
def test_the_guides_test_passes_with_the_guides_function(ada: Person) -> None:
    names: dict[str, Callable[..., None]] = {}
    exec(compile(_samples()[1], "docs/development.md", "exec"), names)  # noqa: S102 (the document is the test)
    found = [name for name in names if name.startswith("test_")]

    assert found
    for name in found:
        names[name](ada)
