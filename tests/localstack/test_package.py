"""The zip files and the template of `make package`, and the package of the process executor."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra import package, template_map
from infra.stack import venvs
from tests.support.stack import ROOT

ELF_AARCH64 = 183


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the command wrote."""
    folder = tmp_path_factory.mktemp("build")
    command = [sys.executable, "-m", "infra.package", "--to", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "sam deploy" in done.stdout
    return folder


def test_the_template_passes_cfn_lint(built: Path) -> None:
    lint = [str(Path(sys.executable).with_name("cfn-lint")), str(built / "template.yaml")]
    done = subprocess.run(lint, cwd=built, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("logical_id", template_map.layer_folders())
def test_a_layer_contains_its_packages_compiled_and_no_other_of_ours(built: Path, logical_id: str) -> None:
    packages = template_map.layer_packages()[logical_id]
    with zipfile.ZipFile(built / "layers" / f"{logical_id}.zip") as archive:
        names = archive.namelist()

    ours = {name.split("/")[2] for name in names if name.startswith("python/layers/")}
    assert ours == set(packages)
    for folder in packages:
        modules = {path.stem for path in (ROOT / "layers" / folder).glob("*.py")}
        assert {f"python/layers/{folder}/__pycache__/{module}.cpython-313.pyc" for module in modules} <= set(names)


def test_a_layer_that_is_built_again_has_the_same_bytes(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOTOGRAM_CACHE", str(tmp_path))
    package.write_layer("ValkeyLayer", tmp_path / "again.zip", architecture="x86_64")

    assert (tmp_path / "again.zip").read_bytes() == (built / "layers" / "ValkeyLayer.zip").read_bytes()
    shutil.rmtree(tmp_path)


def test_the_wheel_of_the_process_executor_contains_its_code_its_licence_and_its_entry_point(built: Path) -> None:
    source = ROOT / "infra/localstack/process_executor"

    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        files = {name.rpartition(".dist-info/")[2]: archive.read(name).decode() for name in archive.namelist()}
    modules = {path.relative_to(source).as_posix() for path in (source / "localstack_process_executor").rglob("*.py")}
    assert modules <= set(files)
    assert files["licenses/LICENSE"] == (source / "LICENSE").read_text()
    assert "License-Expression: Apache-2.0" in files["METADATA"]
    assert "localstack.lambda.runtime_executor" in files["entry_points.txt"]
    assert not [name for name in files if name.startswith(("infra", "layers", "functions", "tests"))]


def test_the_wheel_that_is_built_again_has_the_same_bytes(built: Path, tmp_path: Path) -> None:
    [wheel] = built.glob("*.whl")

    assert venvs.write_executor_wheel(tmp_path).read_bytes() == wheel.read_bytes()


def test_localstack_finds_the_executor_of_the_wheel(built: Path, tmp_path: Path) -> None:
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = (
        "from localstack.services.lambda_.invocation.runtime_executor import get_runtime_executor as find\n"
        "print(find().__module__)"
    )

    found = subprocess.run(
        [str(venvs.LOCALSTACK.python), "-c", program],
        env={"PYTHONPATH": str(tmp_path), "LAMBDA_RUNTIME_EXECUTOR": "process", "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout.strip() == "localstack_process_executor.executor", found.stderr


@pytest.mark.parametrize("logical_id", template_map.layer_folders())
def test_a_layer_for_arm_contains_libraries_for_arm(tmp_path: Path, logical_id: str) -> None:
    package.write_layer(logical_id, tmp_path / "layer.zip", architecture="arm64")
    with zipfile.ZipFile(tmp_path / "layer.zip") as archive:
        libraries = [archive.read(name) for name in archive.namelist() if ".so" in name]

    assert {content[:4] for content in libraries} <= {b"\x7fELF"}
    assert {int.from_bytes(content[18:20], "little") for content in libraries} <= {ELF_AARCH64}
    assert bool(libraries) == (logical_id != "RabbitmqLayer")  # pika is Python alone


def test_a_layer_takes_no_package_that_differs_from_the_lock(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(ROOT / "layers", clone / "layers")
    (clone / ".venv").symlink_to(ROOT / ".venv")
    hashes = (ROOT / "requirements.lock").read_text()
    for lock, succeeds in ((hashes, True), (re.sub(r"sha256:\w{8}", "sha256:00000000", hashes), False)):
        (clone / "requirements.lock").write_text(lock)
        command = [
            "make",
            "-C",
            str(clone / "layers"),
            "build-ValkeyLayer",
            f"ARTIFACTS_DIR={tmp_path / str(succeeds)}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == succeeds, done.stderr
    assert "hash" in done.stderr.lower()
