"""`make package`: builds a zip file per function and layer, a template that refers to them, and a bill of materials.

python -m infra.package [--to build]

A function's zip file contains its own file and the data files beside it. A layer's contains what `sam build` produces,
compiled, because Lambda's folders are read-only and Python cannot store compiled files there. Equal sources give
equal bytes.
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
from typing import Any

import yaml
from samtranslator.yaml_helper import yaml_parse

from infra import sbom, template_map
from infra.stack import fingerprints, venvs
from infra.stack.commands import CommandFailed, run
from infra.stack.profiles import CLONE, cache
from infra.template_map import FUNCTION, LAYER, TEMPLATE, Function

UNZIPPED_BYTES = 250 * 1024 * 1024
"""Lambda's limit for a function and its layers together, unzipped."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every entry, so that equal contents give equal files; the oldest that a zip file can store."""
_READABLE = 0o100644 << 16
_LAYERS = CLONE / "layers"


def function_files(function: Function) -> dict[str, bytes]:
    """The contents of a function's zip file by name: its own file, and the files beside it that are not Python."""
    source = CLONE / "functions" / f"{function.name}.py"
    data = [path for path in source.parent.iterdir() if path.is_file() and path.suffix != ".py"]
    return {path.name: path.read_bytes() for path in [source, *data]}


def write_function(function: Function, target: Path) -> None:
    """Write a function's zip file."""
    _write_zip(target, function_files(function).items())


def write_layer(logical_id: str, target: Path) -> None:
    """Write a layer's zip file, from the cache if it was built from the same sources; raises `CommandFailed`."""
    cached = cache() / "layers" / f"{logical_id}-{_fingerprint(logical_id)}.zip"
    if not cached.exists():
        _build_layer(logical_id, cached)
    shutil.copyfile(cached, target)


def _fingerprint(logical_id: str) -> str:
    folders = [_LAYERS / package for package in template_map.layer_packages()[logical_id]]
    sources = (path for folder in folders for path in folder.rglob("*") if "__pycache__" not in path.parts)
    return fingerprints.of_files([_LAYERS / "Makefile", *sources], below=_LAYERS, salt=sys.version)[:16]


def _build_layer(logical_id: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    programs = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"  # uv and Python of this environment
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        built = Path(folder) / "built"
        run(["make", "-C", str(_LAYERS), f"build-{logical_id}", f"ARTIFACTS_DIR={built}"], PATH=programs)
        zipped = Path(folder) / "zip"
        files = sorted(path for path in built.rglob("*") if path.is_file())
        _write_zip(zipped, ((path.relative_to(built).as_posix(), path.read_bytes()) for path in files))
        zipped.rename(target)


def _write_zip(target: Path, files: Iterable[tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = _READABLE
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)


def write_archives(target: Path) -> dict[str, Path]:
    """Write the zip files of all functions and layers below a folder; their paths by logical id."""
    for folder in ("functions", "layers"):
        shutil.rmtree(target / folder, ignore_errors=True)
        (target / folder).mkdir(parents=True)
    functions = {each.logical_id: target / "functions" / f"{each.logical_id}.zip" for each in template_map.functions()}
    for each in template_map.functions():
        write_function(each, functions[each.logical_id])
    layers = {logical_id: target / "layers" / f"{logical_id}.zip" for logical_id in template_map.layer_folders()}
    with ThreadPoolExecutor() as threads:
        list(threads.map(write_layer, layers, layers.values()))
    return layers | functions


def template_with(places: Mapping[str, str]) -> dict[str, Any]:
    """The template whose functions and layers have these places (paths or URLs) of their code, by logical id.

    Intrinsic functions are in their long form: `{"Ref": "CoreLayer"}`.
    """
    template: dict[str, Any] = yaml_parse(TEMPLATE.read_text())
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] == FUNCTION:
            resource["Properties"]["CodeUri"] = places[logical_id]
        elif resource["Type"] == LAYER:
            resource["Properties"]["ContentUri"] = places[logical_id]
            del resource["Metadata"]  # the build method, which would build it again
    return template


def main() -> int:
    """Write the zip files and the template; 1 if the build failed or a function exceeds Lambda's limit."""
    parser = argparse.ArgumentParser(prog="python -m infra.package", description=__doc__)
    parser.add_argument("--to", type=Path, default=CLONE / "build", metavar="FOLDER")
    target = parser.parse_args().to
    started = time.monotonic()
    try:
        archives = write_archives(target)
        wheel = venvs.write_executor_wheel(target)
    except CommandFailed as error:
        print(error, file=sys.stderr)
        return 1
    places = {logical_id: path.relative_to(target).as_posix() for logical_id, path in archives.items()}
    (target / "template.yaml").write_text(yaml.safe_dump(template_with(places), sort_keys=False))
    layers = {logical_id: archives[logical_id] for logical_id in template_map.layer_folders()}
    (target / "sbom.json").write_text(sbom.describe(layers))
    unzipped = {name: sum(each.file_size for each in zipfile.ZipFile(path).filelist) for name, path in archives.items()}
    largest = 0
    for function in template_map.functions():
        used = [name for name, folder in template_map.layer_folders().items() if folder in function.layers]
        size = sum(unzipped[name] for name in [function.logical_id, *used])
        largest = max(largest, size)
        if size > UNZIPPED_BYTES:
            print(f"{function.name} and its layers have {size >> 20} MB; Lambda allows 250 MB", file=sys.stderr)
    print(
        f"{len(archives)} zip files with {sum(path.stat().st_size for path in archives.values()) >> 20} MB in {target} "
        f"({time.monotonic() - started:.1f} s). Unzipped, the largest function has {largest >> 20} MB with layers.\n"
        f"The wheel of LocalStack's process executor is {wheel}\n"
        f"The bill of materials is {target / 'sbom.json'}; check it for known vulnerabilities with: make audit\n"
        f"Deploy them with: sam deploy --guided --template-file {target / 'template.yaml'}"
    )
    return 1 if largest > UNZIPPED_BYTES else 0


if __name__ == "__main__":
    sys.exit(main())
