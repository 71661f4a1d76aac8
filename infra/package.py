"""`make package`: builds a zip file per function and layer, a template that refers to them, and a bill of materials.

python -m infra.package [--to build] [--architecture x86_64|arm64]

The files in them are those of `sam build`, because both call functions/Makefile and layers/Makefile. Layers are
compiled there, because Lambda's folders are read-only and Python cannot store compiled files in them. Equal sources
give equal bytes.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from samtranslator.yaml_helper import yaml_parse

from infra import sbom, template_map
from infra.stack import fingerprints, venvs
from infra.stack.commands import CommandFailed, run
from infra.stack.profiles import CLONE, cache
from infra.template_map import FUNCTION, LAYER, TEMPLATE

UNZIPPED_BYTES = 250 * 1024 * 1024
"""Lambda's limit for a function and its layers together, unzipped."""

type Architecture = Literal["x86_64", "arm64"]
ARCHITECTURES: Final[tuple[Architecture, ...]] = ("x86_64", "arm64")

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every entry, so that equal contents give equal files; the oldest that a zip file can store."""
_READABLE = 0o100644 << 16
_FUNCTIONS = CLONE / "functions"
_LAYERS = CLONE / "layers"
_LOCK = CLONE / "requirements.lock"


def write_functions(target: Path) -> dict[str, Path]:
    """Write the zip files of all functions to a folder; their paths by logical id. Raises `CommandFailed`."""
    areas: dict[str, list[str]] = {}
    for function in template_map.functions():
        areas.setdefault(function.name.partition("/")[0], []).append(function.logical_id)
    with tempfile.TemporaryDirectory() as built:
        for area, logical_ids in areas.items():
            goals = [f"build-{logical_id}" for logical_id in logical_ids]
            makefile = str(_FUNCTIONS / "Makefile")
            run(["make", "--makefile", makefile, "-C", str(_FUNCTIONS / area), *goals], TO=built)
        return {path.name: _zip_folder(path, target / f"{path.name}.zip") for path in Path(built).iterdir()}


def write_layer(logical_id: str, target: Path, *, architecture: Architecture) -> None:
    """Write a layer's zip file, from the cache if it was built from the same sources; raises `CommandFailed`."""
    cached = cache() / "layers" / f"{logical_id}-{_fingerprint(logical_id, architecture)}.zip"
    if not cached.exists():
        _build_layer(logical_id, cached, architecture)
    shutil.copyfile(cached, target)


def _fingerprint(logical_id: str, architecture: Architecture) -> str:
    folders = [_LAYERS / package for package in template_map.layer_packages()[logical_id]]
    sources = (path for folder in folders for path in folder.rglob("*") if "__pycache__" not in path.parts)
    salt = f"{sys.version} {architecture}"
    return fingerprints.of_files([_LOCK, _LAYERS / "Makefile", *sources], below=CLONE, salt=salt)[:16]


def _build_layer(logical_id: str, target: Path, architecture: Architecture) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    programs = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"  # uv and Python of this environment
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        built = Path(folder) / "built"
        command = ["make", "-C", str(_LAYERS), f"build-{logical_id}", f"ARTIFACTS_DIR={built}"]
        run(command, PATH=programs, ARCHITECTURE=architecture)
        _zip_folder(built, Path(folder) / "zip").rename(target)


def _zip_folder(folder: Path, target: Path) -> Path:
    """Write all files of a folder to a zip file, whose path is returned."""
    files = (path for path in folder.rglob("*") if path.is_file())
    _write_zip(target, ((path.relative_to(folder).as_posix(), path.read_bytes()) for path in files))
    return target


def _write_zip(target: Path, files: Iterable[tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = _READABLE
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)


def write_archives(target: Path, *, architecture: Architecture = "x86_64") -> dict[str, Path]:
    """Write the zip files of all functions and layers below a folder; their paths by logical id."""
    for folder in ("functions", "layers"):
        shutil.rmtree(target / folder, ignore_errors=True)
        (target / folder).mkdir(parents=True)
    layers = {logical_id: target / "layers" / f"{logical_id}.zip" for logical_id in template_map.layer_folders()}
    with ThreadPoolExecutor() as threads:
        building = [
            threads.submit(write_layer, logical_id, path, architecture=architecture)
            for logical_id, path in layers.items()
        ]
        functions = write_functions(target / "functions")
        for each in building:
            each.result()
    return layers | functions


def template_with(places: Mapping[str, str], *, architecture: Architecture = "x86_64") -> dict[str, Any]:
    """The template whose functions and layers have these places (paths or URLs) of their code, by logical id.

    It takes no other architecture than that of the code. Intrinsic functions are in their long form: `{"Ref":
    "CoreLayer"}`.
    """
    template: dict[str, Any] = yaml_parse(TEMPLATE.read_text())
    template["Parameters"]["Architecture"] |= {"Default": architecture, "AllowedValues": [architecture]}
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] in (FUNCTION, LAYER):
            resource["Properties"]["CodeUri" if resource["Type"] == FUNCTION else "ContentUri"] = places[logical_id]
            for name in ("BuildMethod", "ContextPath"):  # with them, it would be built again
                resource["Metadata"].pop(name, None)
    return template


def main() -> int:
    """Write the zip files and the template; 1 if the build failed or a function exceeds Lambda's limit."""
    parser = argparse.ArgumentParser(prog="python -m infra.package", description=__doc__)
    parser.add_argument("--to", type=Path, default=CLONE / "build", metavar="FOLDER")
    parser.add_argument("--architecture", choices=ARCHITECTURES, default="x86_64")
    arguments = parser.parse_args()
    target, architecture = arguments.to, arguments.architecture
    started = time.monotonic()
    try:
        archives = write_archives(target, architecture=architecture)
        wheel = venvs.write_executor_wheel(target)
    except CommandFailed as error:
        print(error, file=sys.stderr)
        return 1
    places = {logical_id: path.relative_to(target).as_posix() for logical_id, path in archives.items()}
    template = template_with(places, architecture=architecture)
    (target / "template.yaml").write_text(yaml.safe_dump(template, sort_keys=False))
    layers = {logical_id: archives[logical_id] for logical_id in template_map.layer_folders()}
    (target / "sbom.json").write_text(sbom.describe(layers))
    unzipped = {name: sum(each.file_size for each in zipfile.ZipFile(path).filelist) for name, path in archives.items()}
    zipped = [path.stat().st_size for path in archives.values()]
    largest = 0
    for function in template_map.functions():
        used = [name for name, folder in template_map.layer_folders().items() if folder in function.layers]
        size = sum(unzipped[name] for name in [function.logical_id, *used])
        largest = max(largest, size)
        if size > UNZIPPED_BYTES:
            print(f"{function.name} and its layers have {size >> 20} MB; Lambda allows 250 MB", file=sys.stderr)
    print(
        f"{len(archives)} zip files for {architecture} with {sum(zipped) >> 20} MB in {target} "
        f"({time.monotonic() - started:.1f} s). Unzipped, the largest function has {largest >> 20} MB with layers.\n"
        f"The wheel of LocalStack's process executor is {wheel}\n"
        f"The bill of materials is {target / 'sbom.json'}; check it for known vulnerabilities with: make audit\n"
        f"Deploy them with: sam deploy --guided --template-file {target / 'template.yaml'}"
    )
    return 1 if largest > UNZIPPED_BYTES else 0


if __name__ == "__main__":
    sys.exit(main())
