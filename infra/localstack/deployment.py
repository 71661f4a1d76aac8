"""The last deployment, kept in the stack's state folder: LocalStack stores nothing itself."""

import base64
import contextlib
import fcntl
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TextIO

import msgspec

from infra.localstack.observed import Observed
from infra.stack.profiles import Profile


class Artifacts(msgspec.Struct, frozen=True):
    """The zip files of functions and layers."""

    paths: Mapping[str, Path]
    """By logical id."""
    digests: Mapping[str, str]
    """SHA-256 in hexadecimal."""

    @classmethod
    def of(cls, paths: Mapping[str, Path]) -> Self:
        """The artifacts in these files, by logical id."""
        return cls(paths, {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in paths.items()})

    def key(self, logical_id: str) -> str:
        """The zip file's key in the bucket; it contains the digest, so that a key never changes its content."""
        return f"{logical_id}-{self.digests[logical_id]}.zip"

    def sha256(self, logical_id: str) -> str:
        """The digest in base64, as Lambda's API returns it."""
        return base64.b64encode(bytes.fromhex(self.digests[logical_id])).decode()


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """What was deployed, and what LocalStack described afterwards."""

    at: datetime
    template: Mapping[str, Any]
    """As `infra.package.template_with` returned it."""
    digests: Mapping[str, str]
    """Of the zip files, by logical id."""
    layers: Mapping[str, str]
    """The ARN of each layer's version, by logical id."""
    observed: Observed

    def artifacts(self, stack: Profile) -> Artifacts:
        """Its zip files."""
        kept = Artifacts({}, self.digests)
        return Artifacts({name: _folder(stack) / kept.key(name) for name in self.digests}, self.digests)


def load(stack: Profile) -> Deployment | None:
    """The last deployment; None if there is none."""
    try:
        return msgspec.json.decode(_file(stack).read_bytes(), type=Deployment)
    except (FileNotFoundError, msgspec.ValidationError):  # none, or one of another version of this program
        return None


def store(stack: Profile, deployment: Deployment, artifacts: Artifacts) -> None:
    """Keep the deployment and copies of its zip files; those of an earlier one are removed."""
    folder, file = _folder(stack), _file(stack)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = {artifacts.key(name): path for name, path in artifacts.paths.items()}
    for key, path in kept.items():
        if not (folder / key).exists():
            shutil.copyfile(path, folder / f"{key}.new")
            (folder / f"{key}.new").rename(folder / key)
    new = file.with_suffix(".new")
    new.touch(mode=0o600)  # it holds the functions' settings
    new.write_bytes(msgspec.json.encode(deployment))
    new.rename(file)
    for path in folder.glob("*.zip"):
        if path.name not in kept:
            path.unlink()


@contextlib.contextmanager
def lock(stack: Profile) -> Iterator[None]:
    """Wait until no other process deploys to this stack, and keep others waiting until the end of the context."""
    with _open_lock(stack) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_locked(stack: Profile) -> bool:
    """Whether a process deploys to this stack now."""
    with _open_lock(stack) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _open_lock(stack: Profile) -> TextIO:
    folder = stack.state / "localstack"
    folder.mkdir(parents=True, exist_ok=True)
    return (folder / "deploying.lock").open("w")


def _folder(stack: Profile) -> Path:
    return stack.state / "localstack" / "deployed"


def _file(stack: Profile) -> Path:
    return _folder(stack) / "deployment.json"
