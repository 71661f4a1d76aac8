"""The zip files of functions, equal for equal sources, and the template that refers to them."""

import zipfile
from pathlib import Path

import pytest

from infra import package, template_map
from infra.stack.profiles import CLONE


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The zip files of all functions by logical id."""
    return package.write_functions(tmp_path_factory.mktemp("functions"))


@pytest.mark.parametrize("function", template_map.functions(), ids=lambda function: function.name)
def test_a_functions_archive_holds_its_handler_and_no_other(
    function: template_map.Function, archives: dict[str, Path]
) -> None:
    with zipfile.ZipFile(archives[function.logical_id]) as written:
        code = [name for name in written.namelist() if name.endswith(".py")]
        assert code == [f"{function.name.rpartition('/')[2]}.py"]
        assert written.read(code[0]) == (CLONE / "functions" / f"{function.name}.py").read_bytes()


def test_data_files_beside_a_function_are_included(archives: dict[str, Path]) -> None:
    with zipfile.ZipFile(archives["GetOpenapi"]) as written:
        assert set(written.namelist()) == {"get_openapi.py", "openapi.json"}


def test_the_same_sources_give_the_same_bytes(archives: dict[str, Path], tmp_path: Path) -> None:
    again = package.write_functions(tmp_path)

    assert {name: path.read_bytes() for name, path in again.items()} == {
        name: path.read_bytes() for name, path in archives.items()
    }


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


@pytest.mark.parametrize("architecture", package.ARCHITECTURES)
def test_the_template_takes_the_architecture_of_the_archives_alone(architecture: package.Architecture) -> None:
    places = dict.fromkeys([*template_map.layer_folders(), *(each.logical_id for each in template_map.functions())], "")
    template = package.template_with(places, architecture=architecture)

    assert template["Parameters"]["Architecture"]["Default"] == architecture
    assert template["Parameters"]["Architecture"]["AllowedValues"] == [architecture]
