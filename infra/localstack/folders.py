"""Lets functions in LocalStack run from the folders of the code, so that an edit needs no deployment.

LocalStack takes a folder instead of a zip file for a function or a layer (https://docs.localstack.cloud/aws/tooling/
lambda-tools/hot-reloading), and the process executor starts a new environment when a file in it has changed. A
function's folder is that of its source. A layer's folder is the unpacked zip file, into which edited sources are
copied.
"""

import contextlib
import py_compile
import shutil
import stat
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra import template_map
from infra.localstack import cloud, deploy, deployment
from infra.localstack.observed import CODE
from infra.stack.profiles import Profile
from infra.template_map import Function

MARK = "hot-reloading-hash-not-available"
"""LocalStack's hash of the code of a function that runs from a folder."""
_BUCKET = "hot-reload"
"""LocalStack takes the key of an object in this bucket as the path of a folder."""
_UPDATES = 8
_SETTLE_SECONDS = 0.03

type _Version = tuple[int, int]
"""When a file was changed, in nanoseconds, and its size in bytes."""


class Folders:
    """The folders of a stack's functions and layers, for the sources in `code`."""

    def __init__(self, stack: Profile, code: Path) -> None:
        self._stack = stack
        self._code = code
        self._layers: dict[str, Path] = {}
        self._copied: dict[Path, _Version] = {}
        """By target, the version of the source that was copied."""

    def attach(self) -> None:
        """Let all functions run from the folders; raises `cloud.ERRORS`, or `NotDeployed` without a deployment."""
        with deployment.lock(self._stack):
            last = deployment.load(self._stack)
            if last is None:
                raise cloud.NotDeployed("Photogram is not deployed in LocalStack. Run: make localstack")
            archives = last.artifacts(self._stack).paths
            self._layers = {name: self._unpack(archives[name]) for name in last.layers}
            self._copied.clear()
            self.copy_edits()
            arns = {name: _publish(name, folder) for name, folder in self._layers.items()}
            with ThreadPoolExecutor(_UPDATES) as threads:
                list(threads.map(lambda function: self._attach(function, arns), template_map.functions()))

    def are_attached(self) -> bool:
        """Whether all functions run from the folders, as LocalStack says; raises `cloud.ERRORS`."""
        if not self._layers:
            return False
        pages = cloud.client("lambda").get_paginator("list_functions").paginate()
        codes = {each["FunctionName"]: each[CODE] for page in pages for each in page["Functions"]}
        return all(codes.get(cloud.function_name(each.logical_id)) == MARK for each in template_map.functions())

    def copy_edits(self) -> list[Path]:
        """Copy the sources of layers that differ from those copied before into the folders; those sources.

        It waits for a moment without a change, because an editor empties a file before it writes it. A compiled file is
        removed before its source is replaced: Python would load it without looking at the source.
        """
        copied = set()
        sources = self._settled_sources()
        for target, (source, version) in sources.items():
            if self._copied.get(target) != version and _copy(source, target):
                copied.add(source)
            self._copied[target] = version
        for target in self._copied.keys() - sources.keys():
            _remove_compiled(target)
            target.unlink(missing_ok=True)
            del self._copied[target]
        return sorted(copied)

    def _settled_sources(self) -> dict[Path, tuple[Path, _Version]]:
        """By its path in a folder, each source and its version, after a moment without a change."""
        sources = dict(self._sources())
        while any(self._copied.get(target) != version for target, (_, version) in sources.items()):
            time.sleep(_SETTLE_SECONDS)
            if (now := dict(self._sources())) == sources:
                break
            sources = now
        return sources

    def _sources(self) -> Iterator[tuple[Path, tuple[Path, _Version]]]:
        packages = template_map.layer_packages()
        for layer, folder in self._layers.items():
            for source in (each for name in packages[layer] for each in (self._code / "layers" / name).rglob("*")):
                with contextlib.suppress(FileNotFoundError):  # an editor may replace files during the scan
                    status = source.stat()
                    if stat.S_ISREG(status.st_mode) and "__pycache__" not in source.parts:
                        target = folder / "python" / source.relative_to(self._code)
                        yield target, (source, (status.st_mtime_ns, status.st_size))

    def _attach(self, function: Function, arns: Mapping[str, str]) -> None:
        lambdas, name = cloud.client("lambda"), cloud.function_name(function.logical_id)
        layers = [arns[f"{each.capitalize()}Layer"] for each in function.layers]
        lambdas.update_function_configuration(FunctionName=name, Layers=layers)
        deploy.wait_for_update(name)
        folder = (self._code / "functions" / f"{function.name}.py").parent
        lambdas.update_function_code(FunctionName=name, S3Bucket=_BUCKET, S3Key=str(folder))
        deploy.wait_for_update(name)

    def _unpack(self, archive: Path) -> Path:
        """The folder with the contents of a layer's zip file, of which the name has the digest."""
        folder = self._stack.state / "localstack" / "folders" / archive.stem
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            for older in folder.parent.glob(f"{archive.stem.partition('-')[0]}-*"):
                shutil.rmtree(older)
            with tempfile.TemporaryDirectory(dir=folder.parent) as place:
                unpacked = Path(place) / "unpacked"
                with zipfile.ZipFile(archive) as opened:
                    opened.extractall(unpacked)
                unpacked.rename(folder)
        return folder


def _publish(layer: str, folder: Path) -> str:
    arn: str = cloud.client("lambda").publish_layer_version(
        LayerName=layer, Content={"S3Bucket": _BUCKET, "S3Key": str(folder)}, CompatibleRuntimes=["python3.13"]
    )["LayerVersionArn"]
    return arn


def _copy(source: Path, target: Path) -> bool:
    """Copy a file if its contents differ; whether it did."""
    content = source.read_bytes()
    if target.is_file() and target.read_bytes() == content:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_compiled(target)
    new = target.with_name(f".{target.name}.new")
    new.write_bytes(content)
    new.rename(target)
    return True


def _remove_compiled(target: Path) -> None:
    for compiled in (target.parent / "__pycache__").glob(f"{target.stem}.*.pyc"):
        compiled.unlink()


def find_syntax_error(source: Path) -> str | None:
    """Python's message about a source that cannot be compiled."""
    with tempfile.NamedTemporaryFile(suffix=".pyc") as compiled:
        try:
            py_compile.compile(str(source), cfile=compiled.name, doraise=True)
        except py_compile.PyCompileError as error:
            return str(error).strip()
    return None
