"""The zip files of functions, equal for equal sources, and the template that refers to them."""

import zipfile
from pathlib import Path

import pytest

from infra import package, template_map
from infra.stack.profiles import CLONE


@pytest.mark.parametrize("function", template_map.functions(), ids=lambda function: function.name)
def test_a_functions_archive_holds_its_handler_and_no_other(function: template_map.Function, tmp_path: Path) -> None:
    archive = tmp_path / "function.zip"
    package.write_function(function, archive)

    with zipfile.ZipFile(archive) as written:
        code = [name for name in written.namelist() if name.endswith(".py")]
        assert code == [f"{function.name.rpartition('/')[2]}.py"]
        assert written.read(code[0]) == (CLONE / "functions" / f"{function.name}.py").read_bytes()


def test_data_files_beside_a_function_are_included() -> None:
    assert set(package.function_files(template_map.function("docs/get_openapi"))) == {
        "get_openapi.py",
        "openapi.json",
    }


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    function = template_map.functions()[0]
    for name in ("first", "second"):
        package.write_function(function, tmp_path / name)

    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_the_template_refers_to_each_archive() -> None:
    places = {
        name: f"place/of/{name}"
        for name in [*template_map.layer_folders(), *(each.logical_id for each in template_map.functions())]
    }
    resources = package.template_with(places)["Resources"]

    assert {
        name: properties.get("CodeUri") or properties.get("ContentUri")
        for name, properties in ((name, each.get("Properties", {})) for name, each in resources.items())
        if properties.get("CodeUri") or properties.get("ContentUri")
    } == places
