"""Installs Debian packages without starting their services; Valkey from backports if the release does not have it."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from infra.stack.commands import CommandFailed, run

PHOTOGRAPHS = ("lomiri-wallpapers-16.04", "mate-backgrounds")
"""Freely licensed photographs, for the demo."""
ALL = (
    "postgresql",
    "rabbitmq-server",
    "openssl",  # makes certificates
    "nginx",
    "libnginx-mod-http-js",  # computes Cache-Control of media links
    "valkey-server",
    "chromium",  # drives the browser tests
    "wrk",  # drives the benchmarks
    "systemd",  # systemd-analyze checks the unit of `make service`
    *PHOTOGRAPHS,
)
_VALKEY = "valkey-server"
_REDIS = "redis-server"

_SOURCES = Path("/etc/apt")
_POLICY = Path("/usr/sbin/policy-rc.d")
_MARK = "# Created by Photogram's installation, and deleted at its end: no service starts while packages are installed."


def are_installed(packages: Sequence[str]) -> bool:
    """Whether all of these packages are installed."""
    return not _missing(packages)


def valkey_server() -> str | None:
    """The path of Valkey's server, or of Redis's if there is no Valkey; both know the commands that are used here."""
    return shutil.which(_VALKEY) or shutil.which(_REDIS)


def install(packages: Sequence[str]) -> None:
    """Install those that are missing.

    Raises `CommandFailed`; if root's rights are needed and there is no sudo, the message is the command to run.
    """
    missing = _missing(packages)
    with _prevent_service_starts(), _backports_options() as backports:
        _apt("update")
        if others := [name for name in missing if name != _VALKEY]:
            _apt("install", *others)
        if _VALKEY in missing:
            _install_valkey(backports)


def _install_valkey(backports: list[str]) -> None:
    """From the release itself, otherwise from its backports; Redis if neither has Valkey."""
    if _is_available(_VALKEY):
        _apt("install", _VALKEY)
        return
    if backports:
        with contextlib.suppress(CommandFailed):
            _apt("update", options=backports)
            _apt("install", _VALKEY, options=backports)
            return
    _apt("install", _REDIS)


def _missing(packages: Sequence[str]) -> list[str]:
    return [name for name in packages if not (valkey_server() if name == _VALKEY else _is_installed(name))]


def _is_installed(package: str) -> bool:
    query = subprocess.run(["dpkg-query", "-W", "-f=${db:Status-Status}", package], capture_output=True, check=False)
    return query.stdout == b"installed"


def _is_available(package: str) -> bool:
    return bool(subprocess.run(["apt-cache", "show", package], capture_output=True, check=False).stdout)


def _apt(verb: str, *packages: str, options: list[str] | None = None) -> None:
    flags = ["--yes", "--quiet", "--no-install-recommends"] if verb == "install" else ["--quiet"]
    command = _as_root(["apt-get", *(options or []), "-o", "DPkg::Lock::Timeout=300", verb, *flags, *packages])
    run(command, DEBIAN_FRONTEND="noninteractive")


def _as_root(command: list[str]) -> list[str]:
    if os.geteuid() == 0:
        return command
    if not shutil.which("sudo"):
        raise CommandFailed(f"This needs root's rights, and sudo is not installed. Run as root: {' '.join(command)}")
    return ["sudo", "--preserve-env=DEBIAN_FRONTEND", *command]


@contextlib.contextmanager
def _prevent_service_starts() -> Iterator[None]:
    """Within this context, installing a package starts no service. A policy-rc.d of the machine itself is kept."""
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
def _backports_options() -> Iterator[list[str]]:
    """The options of apt that add the release's backports; empty if no source of the machine names its release.

    The backports' source is a copy of the machine's own source with another suite. It is written to a temporary folder;
    the machine's sources are not changed.
    """
    release = _codename()
    with tempfile.TemporaryDirectory() as name:
        folder, has_backports = Path(name), False
        folder.chmod(0o755)
        for source in [_SOURCES / "sources.list", *(_SOURCES / "sources.list.d").glob("*")]:
            if not source.is_file() or source.suffix not in {".list", ".sources"}:
                continue
            text = source.read_text()
            (folder / source.name).write_text(text)
            if not has_backports and (backports := _backports_source(text, source.suffix, release)):
                (folder / f"backports{source.suffix}").write_text(backports)
                has_backports = True
        options = ["-o", "Dir::Etc::sourcelist=/dev/null", "-o", f"Dir::Etc::sourceparts={folder}"]
        yield [*options, "-o", f"APT::Default-Release={release}-backports"] if has_backports else []


def _backports_source(text: str, suffix: str, release: str) -> str:
    """A source's entry for `release`, changed to that of its backports; empty if there is none."""
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
