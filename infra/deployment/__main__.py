"""`make check-deployment`: checkov on the translated template, and a comparison of `sam build` with `make package`.

python -m infra.deployment [--architecture x86_64|arm64]

Both tools are installed into the cache, each in a virtual environment of its own, because each pins other versions of
packages than the project.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from infra import check_template, package
from infra.stack.commands import CommandFailed, run
from infra.stack.profiles import CLONE
from infra.stack.venvs import Venv

_FOLDER: Final = CLONE / "infra" / "deployment"
SAM: Final = Venv("sam", _FOLDER / "sam.lock")
CHECKOV: Final = Venv("checkov", _FOLDER / "checkov.lock")

type Digests = dict[str, str]
"""SHA-256 of each file by its path in the archive."""


def main() -> int:
    """Run both checks; 0 if nothing is found."""
    parser = argparse.ArgumentParser(prog="python -m infra.deployment", description=__doc__)
    parser.add_argument("--architecture", choices=package.ARCHITECTURES, default="x86_64")
    architecture = parser.parse_args().architecture
    try:
        for tool in (SAM, CHECKOV):
            if not tool.is_installed():
                print(f"Installing {tool.name}…", flush=True)
                tool.install()
        with tempfile.TemporaryDirectory() as folder:
            check_with_checkov(Path(folder))
            print("checkov has no findings", flush=True)
            differing = compare_builds(Path(folder), architecture)
    except CommandFailed as error:
        print(error, file=sys.stderr)
        return 1
    for name, paths in differing.items():
        print(f"{name} differs between `sam build` and `make package`: {', '.join(paths)}", file=sys.stderr)
    if not differing:
        print(f"`sam build` and `make package` give the same files for {architecture}")
    return 1 if differing else 0


def check_with_checkov(folder: Path) -> None:
    """Run checkov on the template that CloudFormation gets; raises `CommandFailed` with its findings."""
    translated = folder / "template.json"
    translated.write_text(json.dumps(check_template.translate().document))
    run(
        [
            str(CHECKOV.python),
            "-m",
            "checkov.main",
            "--config-file",
            str(CLONE / ".checkov.yaml"),
            "-f",
            str(translated),
        ]
    )


def compare_builds(folder: Path, architecture: package.Architecture) -> dict[str, list[str]]:
    """The paths that are not the same in both builds, by the logical id of the function or layer.

    Raises `CommandFailed` if one of them fails.
    """
    built = folder / "sam"
    run(
        [
            *(str(SAM.python.with_name("sam")), "build", "--parallel", "--template", str(CLONE / "template.yaml")),
            *("--build-dir", str(built), "--cache-dir", str(folder / "cache")),
            *("--parameter-overrides", f"Architecture={architecture}"),
        ],
        ARCHITECTURE=architecture,
        SAM_CLI_TELEMETRY="0",
    )
    (folder / "package").mkdir()
    archives = package.write_archives(folder / "package", architecture=architecture)
    return compare({name: _of_folder(built / name) for name in archives}, archives)


def compare(built: Mapping[str, Digests], archives: Mapping[str, Path]) -> dict[str, list[str]]:
    """The paths that differ between built folders and zip files, by name; only names with such paths."""
    differing = {name: _differing(built[name], _of_archive(path)) for name, path in archives.items()}
    return {name: paths for name, paths in differing.items() if paths}


def _differing(one: Digests, other: Digests) -> list[str]:
    return sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))


def _of_folder(folder: Path) -> Digests:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _of_archive(path: Path) -> Digests:
    with zipfile.ZipFile(path) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


if __name__ == "__main__":
    sys.exit(main())
