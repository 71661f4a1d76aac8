"""Installs the programs of the stack: Debian packages, MinIO, Cassandra, toxiproxy, Swagger UI, LocalStack.

python -m infra.stack.install (after install.sh has created .venv)
"""

import argparse
import base64
import contextlib
import hashlib
import io
import shutil
import ssl
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import msgspec

from infra.stack import compose, debian, pins, venvs
from infra.stack.commands import CommandFailed, run
from infra.stack.profiles import CLONE, cache, profile

_PROGRESS_SECONDS = 20
_HOW_TO_INSTALL = {
    "go": "Go 1.24 or newer: unpack the archive from https://go.dev/dl into /usr/local",
    "java": "Java 17: apt install openjdk-17-jre-headless",
    "mvn": "Maven: apt install maven",
    "npm": "npm: apt install nodejs npm",
}


class Step(msgspec.Struct, frozen=True):
    """One program to install."""

    name: str
    is_done: Callable[[], bool]
    install: Callable[[], None]


def main() -> int:
    """Install what is missing, independent programs in parallel; 1 if something could not be installed."""
    parser = argparse.ArgumentParser(prog="python -m infra.stack.install", description=__doc__)
    parser.add_argument("--profile", choices=["run", "test"], default="run")
    parser.add_argument("--localstack", action="store_true", help="also install LocalStack, as the test profile does")
    arguments = parser.parse_args()
    in_docker = compose.is_chosen(profile(arguments.profile))
    packages = debian.PHOTOGRAPHS if in_docker else debian.ALL
    sequences = [
        [Step("Debian packages", lambda: debian.are_installed(packages), lambda: debian.install(packages))],
        [Step("fetching Swagger UI", pins.swagger_ui().is_dir, _fetch_swagger_ui)],
    ]
    if not in_docker:
        sequences += [
            [
                Step("compiling MinIO (about 2.5 minutes, once)", pins.minio().exists, _compile_minio),
                Step("compiling toxiproxy (for tests)", pins.toxiproxy().exists, _compile_toxiproxy),
            ],
            [Step("fetching Cassandra", pins.cassandra().is_dir, _fetch_cassandra)],
        ]
    if arguments.profile == "test":
        sequences.append([Step("fetching pictures (for tests)", pins.pictures().is_dir, _fetch_pictures)])
    if arguments.localstack or arguments.profile == "test":
        sequences.append(_localstack_steps())
    missing = [[step for step in sequence if not step.is_done()] for sequence in sequences]
    total = sum(map(len, missing))
    if not total:
        return 0
    started = time.monotonic()
    numbers = iter(range(1, total + 1))
    with ThreadPoolExecutor(len(sequences)) as threads:
        failures = [error for error in threads.map(lambda steps: _run(steps, numbers, total), missing) if error]
    for error in failures:
        print(f"\n{error}", file=sys.stderr)
    print(f"Installed in {time.monotonic() - started:.0f} s" if not failures else "The installation failed")
    return 1 if failures else 0


def _localstack_steps() -> list[Step]:
    return [
        Step("LocalStack", venvs.LOCALSTACK.is_installed, venvs.LOCALSTACK.install),
        Step("the functions' runtime", venvs.RUNTIME.is_installed, venvs.RUNTIME.install),
        Step("LocalStack's process executor", venvs.executor().is_dir, venvs.install_executor),
    ]


def _run(steps: list[Step], numbers: Iterator[int], total: int) -> Exception | None:
    """Install one after the other; the first failure, which ends the sequence."""
    for step in steps:
        try:
            with _report_progress(f"[{next(numbers)}/{total}] {step.name}"):
                step.install()
        except (CommandFailed, OSError) as error:
            return error
    return None


def _print_line(line: str) -> None:
    """Write line and newline in one call, because several threads print."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextlib.contextmanager
def _report_progress(name: str) -> Iterator[None]:
    """Print when a step starts, every 20 s while it runs, and how many seconds it took."""
    started, ended = time.monotonic(), threading.Event()

    def report() -> None:
        while not ended.wait(_PROGRESS_SECONDS):
            _print_line(f"{name}… {time.monotonic() - started:.0f} s")

    _print_line(f"{name}…")
    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield
    except BaseException:
        _print_line(f"{name}: failed after {time.monotonic() - started:.0f} s")
        raise
    finally:
        ended.set()
        reporter.join()
    _print_line(f"{name}: {time.monotonic() - started:.0f} s")


def _require(*programs: str) -> None:
    if missing := [_HOW_TO_INSTALL[name] for name in programs if not shutil.which(name)]:
        raise CommandFailed("Install these programs, then run the command again:\n  " + "\n  ".join(missing))


def _compile_minio() -> None:
    _compile(pins.MINIO, "minio", pins.minio())


def _compile_toxiproxy() -> None:
    _compile(pins.TOXIPROXY, "server", pins.toxiproxy())


def _compile(module: str, binary: str, target: Path) -> None:
    """Run `go install` in a temporary folder and move the binary at the end, so that `target` is always complete."""
    _require("go")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        run(["go", "install", "-trimpath", "-ldflags=-s -w", module], GOBIN=folder, CGO_ENABLED="0")
        (Path(folder) / binary).rename(target)


def _fetch_cassandra() -> None:
    _require("java", "mvn")
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as folder:
        jars = Path(folder) / "jars"
        run(
            [
                *("mvn", "--quiet", "--batch-mode", "--file", str(CLONE / "infra" / "cassandra" / "pom.xml")),
                "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies",
                *("-DincludeScope=runtime", f"-DoutputDirectory={jars}", f"-Dcassandra.version={pins.CASSANDRA}"),
            ]
        )
        jars.rename(pins.cassandra())


def _fetch_swagger_ui() -> None:
    """Fetch the package without its dependency, which only reports installations to its author."""
    _require("npm")
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as folder:
        run(["npm", "pack", "--ignore-scripts", "--pack-destination", folder, pins.SWAGGER_UI])
        [archive] = Path(folder).glob("*.tgz")
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if digest != pins.SWAGGER_UI_SHA512:
            raise CommandFailed(f"{pins.SWAGGER_UI} has the SHA-512 {digest}, not that of infra/stack/pins.py")
        with tarfile.open(archive) as packed:
            members = [packed.getmember(f"package/{name}") for name in pins.SWAGGER_UI_FILES]
            packed.extractall(folder, members, filter="data")
        (Path(folder) / "package").rename(pins.swagger_ui())


def _fetch_pictures() -> None:
    """Fetch the pictures in the tests of Pillow and pillow_heif."""
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as folder:
        pictures = Path(folder) / "pictures"
        trusted = ssl.create_default_context()  # the system's authorities, as pip has; httpx would bring its own
        for url, wanted in pins.PICTURES.items():
            archive = httpx.get(url, verify=trusted, timeout=60).raise_for_status().content
            if (digest := hashlib.sha256(archive).hexdigest()) != wanted:
                raise CommandFailed(f"{url} has the SHA-256 {digest}, not that of infra/stack/pins.py")
            with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
                members = [each for each in packed.getmembers() if "/images/" in each.name.lower()]
                packed.extractall(pictures, members, filter="data")
        pictures.rename(pins.pictures())


if __name__ == "__main__":
    sys.exit(main())
