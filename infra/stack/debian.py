"""Debian packages: installed without starting a service, Valkey from the backports where the release lacks it."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from infra.stack.commands import Failed, run

PHOTOGRAPHS = ("lomiri-wallpapers-16.04", "mate-backgrounds")
"""Freely licensed ones, for the demo."""
ALL = (
    "postgresql",
    "rabbitmq-server",
    "nginx",
    "libnginx-mod-http-js",  # how long a media link still works, for Cache-Control
    "valkey-server",
    "chromium",  # drives the browser tests
    "wrk",  # drives the benchmarks
    *PHOTOGRAPHS,
)
_VALKEY = "valkey-server"
_ELDER = "redis-server"

_SOURCES = Path("/etc/apt")
_POLICY = Path("/usr/sbin/policy-rc.d")
_MARK = "# Left by Photogram's installation while it runs: nothing that is installed now starts by itself."


def are_installed(packages: Sequence[str]) -> bool:
    """Whether nothing is missing of these."""
    return not _missing(packages)


def valkey_server() -> str | None:
    """The Valkey server's program, or Redis 7's where Valkey cannot be had; they answer the same commands."""
    return shutil.which(_VALKEY) or shutil.which(_ELDER)


def install(packages: Sequence[str]) -> None:
    """Install what is missing of these; raises `Failed` naming the command to run by hand where this user may not."""
    missing = _missing(packages)
    with _nothing_starts(), _with_backports() as backports:
        _apt("update")
        if others := [name for name in missing if name != _VALKEY]:
            _apt("install", *others)
        if _VALKEY in missing:
            _install_valkey(backports)


def _install_valkey(backports: list[str]) -> None:
    """From the release itself, else from its backports, else Redis."""
    if _is_known(_VALKEY):
        _apt("install", _VALKEY)
        return
    if backports:
        with contextlib.suppress(Failed):
            _apt("update", options=backports)
            _apt("install", _VALKEY, options=backports)
            return
    _apt("install", _ELDER)


def _missing(packages: Sequence[str]) -> list[str]:
    return [name for name in packages if not (valkey_server() if name == _VALKEY else _is_installed(name))]


def _is_installed(package: str) -> bool:
    told = subprocess.run(["dpkg-query", "-W", "-f=${db:Status-Status}", package], capture_output=True, check=False)
    return told.stdout == b"installed"


def _is_known(package: str) -> bool:
    return bool(subprocess.run(["apt-cache", "show", package], capture_output=True, check=False).stdout)


def _apt(verb: str, *packages: str, options: list[str] | None = None) -> None:
    flags = ["--yes", "--quiet", "--no-install-recommends"] if verb == "install" else ["--quiet"]
    command = _as_root(["apt-get", *(options or []), "-o", "DPkg::Lock::Timeout=300", verb, *flags, *packages])
    run(command, DEBIAN_FRONTEND="noninteractive")


def _as_root(command: list[str]) -> list[str]:
    if os.geteuid() == 0:
        return command
    if not shutil.which("sudo"):
        raise Failed(f"Please run as root: {' '.join(command)}")
    return ["sudo", "--preserve-env=DEBIAN_FRONTEND", *command]


@contextlib.contextmanager
def _nothing_starts() -> Iterator[None]:
    """While this holds, packages install without starting their services; a policy the machine has itself stays."""
    is_ours = not _POLICY.exists() or _MARK in _POLICY.read_text(errors="replace")
    if is_ours:
        with tempfile.NamedTemporaryFile("w", suffix=".policy") as script:
            script.write(f"#!/bin/sh\n{_MARK}\nexit 101\n")
            script.flush()
            subprocess.run(_as_root(["install", "-m", "755", script.name, str(_POLICY)]), check=True)
    try:
        yield
    finally:
        if is_ours:
            subprocess.run(_as_root(["rm", "-f", str(_POLICY)]), check=True)


@contextlib.contextmanager
def _with_backports() -> Iterator[list[str]]:
    """The options of apt that add the backports for one command; empty where the machine's sources name no release.

    Derived from the machine's own source of its release by changing the suite, in a folder of its own: the machine's
    sources stay as they are.
    """
    release = _codename()
    with tempfile.TemporaryDirectory() as name:
        folder, found = Path(name), False
        folder.chmod(0o755)
        for source in [_SOURCES / "sources.list", *(_SOURCES / "sources.list.d").glob("*")]:
            if not source.is_file() or source.suffix not in {".list", ".sources"}:
                continue
            text = source.read_text()
            (folder / source.name).write_text(text)
            if not found and (backports := _backports(text, source.suffix, release)):
                (folder / f"backports{source.suffix}").write_text(backports)
                found = True
        options = ["-o", "Dir::Etc::sourcelist=/dev/null", "-o", f"Dir::Etc::sourceparts={folder}"]
        yield [*options, "-o", f"APT::Default-Release={release}-backports"] if found else []


def _backports(text: str, suffix: str, release: str) -> str:
    """The entry for `release` made one for its backports; empty if there is none."""
    if suffix == ".list":
        lines = re.findall(rf"^deb\s.*\s{re.escape(release)}\s.*$", text, flags=re.MULTILINE)
        return re.sub(rf"\s{re.escape(release)}\s", f" {release}-backports ", lines[0]) + "\n" if lines else ""
    for entry in re.split(r"\n\s*\n", text):
        if re.search(rf"^Suites:(.*\s)?{re.escape(release)}(\s|$)", entry, flags=re.MULTILINE):
            return re.sub(r"^Suites:.*$", f"Suites: {release}-backports", entry, flags=re.MULTILINE) + "\n"
    return ""


def _codename() -> str:
    found = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), flags=re.MULTILINE)
    return found[1] if found else ""
