"""The documents are true where a test can tell: links, commands, paths, settings, ports, samples."""

import ast
import importlib.util
import json
import re
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import grimp
import pytest
import yaml

from infra import check_template, template_map
from infra.invoke.samples import STAND_INS
from infra.stack.profiles import profile
from layers.core.settings import SECRETS, Settings

ROOT: Final = Path(__file__).parents[2]
README_BYTES: Final = 8_000
_FOREIGN: Final = {".venv", ".git", "node_modules", "build", ".pytest_cache", ".hypothesis"}
DOCUMENTS: Final = sorted(
    path for path in ROOT.rglob("*.md") if not _FOREIGN & set(path.relative_to(ROOT).parts) and path.is_file()
)
OWN: Final = [path for path in DOCUMENTS if path.parent == ROOT or path.is_relative_to(ROOT / "docs")]
"""The documents of the whole repository; others stand beside what they describe."""

_FENCE: Final = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_CODE: Final = re.compile(r"`([^`\n]+)`")
_LINK: Final = re.compile(r"\]\((?P<target>[^()\s]+)\)")
_HEADING: Final = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_TARGET: Final = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)
_MAKE: Final = re.compile(r"\bmake ([a-z][a-z-]*)")
_PATH: Final = re.compile(r"(?:functions|layers|infra|tests|docs|events)/[\w./-]*\w")

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
each_own_document = pytest.mark.parametrize("document", OWN, ids=lambda path: str(path.relative_to(ROOT)))


def _blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of this language, without the indentation of the list that they stand in."""
    found = []
    for block in _FENCE.finditer(document.read_text()):
        if block["language"] == language:
            lines = block["text"].splitlines()
            found.append("\n".join(line.removeprefix(block["indent"]) for line in lines) + "\n")
    return found


def _prose(document: Path) -> str:
    """The text without fenced blocks."""
    return _FENCE.sub("", document.read_text())


def _code(document: Path) -> Iterator[str]:
    """Everything that is marked as code, fenced or in backquotes."""
    yield from (block["text"] for block in _FENCE.finditer(document.read_text()))
    yield from _CODE.findall(_prose(document))


def _anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives a document's headings."""
    anchors: Counter[str] = Counter()
    found = set()
    for heading in _HEADING.findall(_prose(document)):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        found.add(f"{anchor}-{anchors[anchor]}" if anchors[anchor] else anchor)
        anchors[anchor] += 1
    return found


def _rows(document: Path, heading: str) -> list[list[str]]:
    """The cells of the rows of the first table below a heading."""
    section = _prose(document).partition(f"\n{heading}\n")[2]
    lines = section[section.index("\n|") + 1 :].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines[2:]]


@each_document
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in _LINK.finditer(_prose(document)):
        target, _, anchor = link["target"].partition("#")
        if "://" in target:
            continue
        place = (document.parent / target).resolve() if target else document
        assert place.exists(), f"{link['target']}: there is no such file"
        if anchor:
            assert anchor in _anchors(place), f"{link['target']}: there is no such heading"


@each_document
def test_every_make_target_exists(document: Path) -> None:
    targets = set(_TARGET.findall((ROOT / "Makefile").read_text()))
    used = {target for text in _code(document) for target in _MAKE.findall(text)}

    assert used <= targets


@each_document
def test_every_path_exists(document: Path) -> None:
    """Paths of the repository in backquotes; a sample's own file is the guide's to create."""
    made = {path for path in _PATH.findall(document.read_text()) if "count_posts" in path}
    named = {path for text in _CODE.findall(_prose(document)) if "<" not in text for path in _PATH.findall(text)}
    roots = (ROOT, document.parent)

    assert [path for path in named - made if not any((root / path).exists() for root in roots)] == []


@each_document
def test_every_shell_block_can_be_read_by_a_shell(document: Path) -> None:
    for block in _blocks(document, "sh"):
        checked = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr


@each_document
def test_every_json_block_is_json(document: Path) -> None:
    for block in _blocks(document, "json"):
        json.loads(block)


@each_own_document
def test_lines_are_at_most_120_characters(document: Path) -> None:
    lines = _prose(document).splitlines()
    assert [line for line in lines if len(line) > 120 and not line.startswith("|") and "](" not in line] == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= README_BYTES


OPERATIONS: Final = ROOT / "docs" / "operations.md"
DEPLOYMENT: Final = ROOT / "docs" / "deployment.md"


def _written(value: object) -> str:
    """A setting's default as the table has it."""
    if value is None:
        return "none"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text}`" if text else "empty"


def test_every_setting_is_described_with_its_default() -> None:
    described = {row[0].strip("`"): row[1] for row in _rows(OPERATIONS, "## Settings")}
    defaults = {name: getattr(Settings(), name) for name in Settings.__struct_fields__} | SECRETS
    declared = {name.upper(): _written(value) for name, value in defaults.items()}

    assert described == declared


def test_every_parameter_of_the_template_is_described() -> None:
    described = {name for row in _rows(DEPLOYMENT, "## What must exist") for name in _CODE.findall(row[1])}
    assert described == set(template_map.template()["Parameters"])


def test_the_number_of_resources_is_that_of_the_template() -> None:
    resources = len(check_template.translate().document["Resources"])
    assert [row[2] for row in _rows(DEPLOYMENT, "## Quotas") if row[0].startswith("CloudFormation")] == [
        f"the template has {resources}; an endpoint adds three"
    ]


def test_the_ports_are_those_of_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PHOTOGRAM_PORT", "PHOTOGRAM_STORE_PORTS"):
        monkeypatch.delenv(name, raising=False)
    ports = profile("run").ports
    declared = {name: value for name in ports.__struct_fields__ if isinstance(value := getattr(ports, name), int)}
    described = [int(port) for row in _rows(OPERATIONS, "## Ports") for port in re.findall(r"\d{4,5}", row[1])]

    assert sorted(described) == sorted([*declared.values(), *ports.api])


def test_every_variable_of_the_stack_is_read_by_it() -> None:
    described = {row[0].strip("`") for row in _rows(OPERATIONS, "## Start, stop, look") if "PHOTOGRAM" in row[0]}
    described |= {name for path in OWN for name in re.findall(r"\bPHOTOGRAM_[A-Z_]+\b", path.read_text())}
    read = "\n".join(path.read_text() for path in (ROOT / "infra").rglob("*.py"))

    assert described
    assert [name for name in described if name not in read] == []


DECISIONS: Final = ROOT / "docs" / "decisions"
RECORDS: Final = sorted(DECISIONS.glob("[0-9]*.md"))


def test_every_decision_is_in_the_index() -> None:
    index = (DECISIONS / "README.md").read_text()
    titles = {path.name: path.read_text().partition("\n")[0] for path in RECORDS}

    assert [int(name[:4]) for name in titles] == list(range(1, len(titles) + 1))
    for name, title in titles.items():
        number, _, text = title.removeprefix("# ").partition(". ")
        assert int(number) == int(name[:4])
        assert f"| {number} | [{text}]({name}) |" in index


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_decision_has_context_choice_and_consequence(record: Path) -> None:
    text = record.read_text()

    assert _HEADING.findall(text)[1:] == ["Context", "Choice", "Consequence"]
    assert re.search(r"^20\d\d-\d\d-\d\d$", text, re.MULTILINE)


def test_the_number_of_followers_is_the_settings() -> None:
    [record] = DECISIONS.glob("*many-followers*")
    assert f"`STAR_FOLLOWERS` ({Settings().star_followers:,})" in record.read_text()


GUIDE: Final = ROOT / "docs" / "development.md"


def test_what_samples_stand_for_is_described() -> None:
    described = [row[0].strip("`") for row in _rows(GUIDE, "### What samples stand for")]

    assert described == list(STAND_INS)


@each_own_document
def test_every_python_block_compiles(document: Path) -> None:
    for block in _blocks(document, "python"):
        compile(block, str(document), "exec")


@pytest.fixture
def sample(tmp_path: Path) -> ModuleType:
    """The guide's function, imported from a file."""
    file = tmp_path / "count_posts.py"
    file.write_text(_blocks(GUIDE, "python")[0])
    spec = importlib.util.spec_from_file_location("functions.users.count_posts", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _Loader(yaml.SafeLoader):
    """Reads `!Ref CoreLayer` as `CoreLayer`."""


_Loader.add_multi_constructor("!", lambda loader, _, node: loader.construct_scalar(node))


def _resource() -> dict[str, Any]:
    """The guide's entry of the template."""
    [block] = _blocks(GUIDE, "yaml")
    resource: dict[str, Any] = yaml.load(block, Loader=_Loader)["CountPosts"]  # noqa: S506 (a SafeLoader)
    return resource


def _entry() -> dict[str, Any]:
    """Its properties."""
    properties: dict[str, Any] = _resource()["Properties"]
    return properties


def test_the_guides_function_answers_the_trigger_that_its_entry_names(sample: ModuleType) -> None:
    trigger = _entry()["Events"]["Call"]["Properties"]
    route = f"{trigger['Method']} {trigger['Path']}"

    assert (sample.__doc__ or "").startswith(f"{route}: ")
    assert {name for name, _ in sample.handler.signature.path} == set(re.findall(r"{(\w+)}", trigger["Path"]))
    assert route not in {f"{each.method} {each.path}" for each in template_map.routes()}


def test_the_guides_entry_lists_the_layers_that_its_function_stands_on() -> None:
    graph = grimp.build_graph("layers", exclude_type_checking_imports=True, cache_dir=None)
    imported = {
        name
        for node in ast.walk(ast.parse(_blocks(GUIDE, "python")[0]))
        if isinstance(node, ast.ImportFrom) and node.module
        for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        if name in graph.modules and name.count(".") > 1
    }
    reached = imported | {module for name in imported for module in graph.find_upstream_modules(name)}
    packages = {module.split(".")[1] for module in reached} - {"core", "services", "entrypoints"}

    assert set(_entry()["Layers"]) == {"CoreLayer", *(f"{package.title()}Layer" for package in packages)}


def test_the_guides_entry_has_the_rights_of_a_function_like_it() -> None:
    [neighbour] = [each for each in template_map.template()["Resources"].items() if each[0] == "GetProfile"]

    assert _entry()["Policies"] == neighbour[1]["Properties"]["Policies"]
    assert _resource()["Metadata"] == neighbour[1]["Metadata"]


def test_the_guides_function_is_named_as_its_entry_says() -> None:
    entry, prose = _entry(), _prose(GUIDE)
    name = entry["CodeUri"] + entry["Handler"].removesuffix(".handler")

    assert f"`{name}.py`" in prose
    assert f"`{name.replace('functions/', 'events/')}.json`" in prose


def test_both_packages_name_the_licence_that_is_there() -> None:
    named = [
        tomllib.loads((ROOT / path / "pyproject.toml").read_text())["project"]["license"]
        for path in (".", "infra/localstack/process_executor")
    ]

    assert named == ["Apache-2.0"] * 2
    for path in (".", "infra/localstack/process_executor"):
        assert "Apache License\n                           Version 2.0" in (ROOT / path / "LICENSE").read_text()


def test_pre_commit_runs_what_make_check_runs() -> None:
    hooks = [
        hook
        for repo in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
        for hook in repo["hooks"]
    ]
    assert [hook["entry"] for hook in hooks] == ["make check"]
