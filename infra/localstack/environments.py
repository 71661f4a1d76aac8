"""The Python environments of LocalStack and of the functions in it, and the process executor, kept in the cache.

LocalStack pins other versions of boto3 and cryptography than the project, and a function must see neither's packages.
"""

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

import msgspec

from infra.stack import fingerprints
from infra.stack.commands import run
from infra.stack.profiles import cache

_HERE = Path(__file__).parent
_EXECUTOR = _HERE / "process_executor"


class Environment(msgspec.Struct, frozen=True):
    """A virtual environment of locked packages."""

    name: str
    lock: Path

    @property
    def folder(self) -> Path:
        """Its place in the cache; other packages have another one."""
        return cache() / f"{self.name}-{hashlib.sha256(self.lock.read_bytes()).hexdigest()[:12]}"

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.folder / "bin" / "python"

    @property
    def _stamp(self) -> Path:
        return self.folder / "complete"

    def is_installed(self) -> bool:
        """Whether all of it is there."""
        return self._stamp.exists()

    def install(self) -> None:
        """Make it; raises `Failed`."""
        shutil.rmtree(self.folder, ignore_errors=True)
        base = Path(sys.base_prefix) / "bin" / "python3.13"
        run([_uv(), "venv", "--quiet", "--python", str(base), str(self.folder)])
        run([_uv(), "pip", "sync", "--quiet", "--require-hashes", "--python", str(self.python), str(self.lock)])
        self._stamp.touch()


LOCALSTACK = Environment("localstack", _HERE / "requirements.lock")
RUNTIME = Environment("lambda-python3.13", _HERE / "runtime.lock")
"""What functions run with: AWS's runtime client and what else AWS's runtime brings."""


def executor() -> Path:
    """The folder with the installed process executor, to be put on LocalStack's PYTHONPATH."""
    sources = [*_EXECUTOR.glob("*.*"), *(_EXECUTOR / "localstack_process_executor").rglob("*.py")]
    return cache() / f"process-executor-{fingerprints.of_files(sources, below=_EXECUTOR)[:12]}"


def are_installed() -> bool:
    """Whether LocalStack can be started, and functions in it."""
    return LOCALSTACK.is_installed() and RUNTIME.is_installed() and executor().is_dir()


def install_executor() -> None:
    """Install the process executor; raises `Failed`."""
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as folder:
        target = Path(folder) / "installed"
        run([_uv(), "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(_EXECUTOR)])
        target.rename(executor())


def _uv() -> str:
    return str(Path(sys.executable).with_name("uv"))
