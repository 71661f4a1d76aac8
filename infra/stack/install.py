"""Installs what the stack runs on: Debian packages, MinIO, Cassandra, toxiproxy, Swagger UI, LocalStack.

python -m infra.stack.install (after install.sh has made .venv)
"""

import argparse
import base64
import contextlib
import hashlib
import shutil
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from infra.localstack import environments
from infra.stack import compose, debian, pins
from infra.stack.commands import Failed, run
from infra.stack.profiles import CLONE, cache, profile

_PROGRESS_SECONDS = 20
_NEEDED = {
    "go": "Go 1.24 or newer: the archive from Go's own site, unpacked into /usr/local",
    "java": "Java 17: apt install openjdk-17-jre-headless",
    "mvn": "Maven: apt install maven",
    "npm": "npm, which comes with Node: apt install nodejs npm",
}


class Step(msgspec.Struct, frozen=True):
    """One part of the installation."""

    name: str
    is_done: Callable[[], bool]
    do: Callable[[], None]


def main() -> int:
    """Install what is missing, independent parts side by side; 0 if all of it is there at the end."""
    parser = argparse.ArgumentParser(prog="python -m infra.stack.install", description=__doc__)
    parser.add_argument("--profile", choices=["run", "test"], default="run")
    parser.add_argument("--localstack", action="store_true", help="LocalStack too; the test stack always has it")
    given = parser.parse_args()
    in_docker = compose.is_chosen(profile(given.profile))
    wanted = debian.PHOTOGRAPHS if in_docker else debian.ALL
    lanes = [
        [Step("Debian packages", lambda: debian.are_installed(wanted), lambda: debian.install(wanted))],
        [Step("fetching Swagger UI", pins.swagger_ui().is_dir, _fetch_swagger_ui)],
    ]
    if not in_docker:
        lanes += [
            [
                Step("compiling MinIO (about 2.5 minutes, once)", pins.minio().exists, _compile_minio),
                Step("compiling toxiproxy (for tests)", pins.toxiproxy().exists, _compile_toxiproxy),
            ],
            [Step("fetching Cassandra", pins.cassandra().is_dir, _fetch_cassandra)],
        ]
    if given.localstack or given.profile == "test":
        lanes.append(_localstack())
    missing = [[step for step in lane if not step.is_done()] for lane in lanes]
    total = sum(map(len, missing))
    if not total:
        return 0
    started = time.monotonic()
    numbers = iter(range(1, total + 1))
    with ThreadPoolExecutor(len(lanes)) as threads:
        failures = [error for error in threads.map(lambda lane: _run(lane, numbers, total), missing) if error]
    for error in failures:
        print(f"\n{error}", file=sys.stderr)
    print(f"Installed in {time.monotonic() - started:.0f} s" if not failures else "Installation failed")
    return 1 if failures else 0


def _localstack() -> list[Step]:
    return [
        Step("LocalStack", environments.LOCALSTACK.is_installed, environments.LOCALSTACK.install),
        Step("the functions' runtime", environments.RUNTIME.is_installed, environments.RUNTIME.install),
        Step("LocalStack's process executor", environments.executor().is_dir, environments.install_executor),
    ]


def _run(lane: list[Step], numbers: Iterator[int], total: int) -> Exception | None:
    for step in lane:
        try:
            with _progress(f"[{next(numbers)}/{total}] {step.name}"):
                step.do()
        except (Failed, OSError) as error:
            return error
    return None


def _say(line: str) -> None:
    """A whole line at once: the lanes talk at the same time."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextlib.contextmanager
def _progress(name: str) -> Iterator[None]:
    """Says when a step begins, every 20 s that it still runs, and its seconds at the end."""
    started, over = time.monotonic(), threading.Event()

    def tell() -> None:
        while not over.wait(_PROGRESS_SECONDS):
            _say(f"{name}… {time.monotonic() - started:.0f} s")

    _say(f"{name}…")
    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    except BaseException:
        _say(f"{name}: failed after {time.monotonic() - started:.0f} s")
        raise
    finally:
        over.set()
        teller.join()
    _say(f"{name}: {time.monotonic() - started:.0f} s")


def _need(*programs: str) -> None:
    if missing := [_NEEDED[name] for name in programs if not shutil.which(name)]:
        raise Failed("Missing on this machine:\n  " + "\n  ".join(missing))


def _compile_minio() -> None:
    _compile(pins.MINIO, "minio", pins.minio())


def _compile_toxiproxy() -> None:
    _compile(pins.TOXIPROXY, "server", pins.toxiproxy())


def _compile(module: str, made: str, kept: Path) -> None:
    """`go install` into a folder beside the cache's, moved at the end: a half-made program is never taken for whole."""
    _need("go")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        run(["go", "install", "-trimpath", "-ldflags=-s -w", module], GOBIN=folder, CGO_ENABLED="0")
        (Path(folder) / made).rename(kept)


def _fetch_cassandra() -> None:
    _need("java", "mvn")
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
    """The package's archive alone: what it depends on only reports installations."""
    _need("npm")
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as folder:
        run(["npm", "pack", "--ignore-scripts", "--pack-destination", folder, pins.SWAGGER_UI])
        [archive] = Path(folder).glob("*.tgz")
        found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if found != pins.SWAGGER_UI_SHA512:
            raise Failed(f"{pins.SWAGGER_UI} is not what was pinned: its SHA-512 is {found}")
        with tarfile.open(archive) as packed:
            members = [packed.getmember(f"package/{name}") for name in pins.SWAGGER_UI_FILES]
            packed.extractall(folder, members, filter="data")
        (Path(folder) / "package").rename(pins.swagger_ui())


if __name__ == "__main__":
    sys.exit(main())
