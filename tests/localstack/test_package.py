"""The archives and the template of `make package`."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra import package, template_map
from tests.support.stack import ROOT


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command wrote."""
    folder = tmp_path_factory.mktemp("build")
    command = [sys.executable, "-m", "infra.package", "--to", str(folder)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert "sam deploy" in told.stdout
    return folder


def test_the_template_passes_cfn_lint(built: Path) -> None:
    lint = [str(Path(sys.executable).with_name("cfn-lint")), str(built / "template.yaml")]
    told = subprocess.run(lint, cwd=built, capture_output=True, text=True, check=False)

    assert told.returncode == 0, told.stdout


@pytest.mark.parametrize("logical_id", template_map.layer_folders())
def test_a_layer_holds_its_folder_compiled_and_no_other_of_ours(built: Path, logical_id: str) -> None:
    folder = template_map.layer_folders()[logical_id]
    with zipfile.ZipFile(built / "layers" / f"{logical_id}.zip") as archive:
        names = archive.namelist()

    ours = {name.split("/")[2] for name in names if name.startswith("python/layers/")}
    sources = {path.stem for path in (ROOT / "layers" / folder).glob("*.py")}
    assert ours == {folder}
    assert {f"python/layers/{folder}/__pycache__/{name}.cpython-313.pyc" for name in sources} <= set(names)


def test_a_layer_that_is_built_anew_is_the_same_to_the_byte(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOTOGRAM_CACHE", str(tmp_path))
    package.write_layer("ValkeyLayer", tmp_path / "again.zip")

    assert (tmp_path / "again.zip").read_bytes() == (built / "layers" / "ValkeyLayer.zip").read_bytes()
    shutil.rmtree(tmp_path)
