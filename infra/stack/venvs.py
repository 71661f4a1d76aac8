"""LocalStack's virtual environment, that of the functions in it, and the process executor, all kept in the cache.

LocalStack pins other versions of boto3 and cryptography than the project, and a function must see the packages of
neither.
"""

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

import msgspec

from infra.stack import fingerprints
from infra.stack.commands import run
from infra.stack.profiles import CLONE, cache

_LOCALSTACK = CLONE / "infra" / "localstack"
_EXECUTOR = _LOCALSTACK / "process_executor"


class Venv(msgspec.Struct, frozen=True):
    """A virtual environment with the packages of a lock file."""

    name: str
    lock: Path
    options: tuple[str, ...] = ()
    """Of the installation of its packages."""

    @property
    def folder(self) -> Path:
        """Its folder in the cache; a changed lock file means another folder."""
        source = self.lock.read_bytes() + " ".join(self.options).encode()
        return cache() / f"{self.name}-{hashlib.sha256(source).hexdigest()[:12]}"

    @property
    def python(self) -> Path:
        """Its Python interpreter."""
        return self.folder / "bin" / "python"

    @property
    def _stamp(self) -> Path:
        return self.folder / "complete"

    def is_installed(self) -> bool:
        """Whether the installation was completed."""
        return self._stamp.exists()

    def install(self) -> None:
        """Create it; raises `CommandFailed`."""
        shutil.rmtree(self.folder, ignore_errors=True)
        base = Path(sys.base_prefix) / "bin" / "python3.13"
        run([_uv(), "venv", "--quiet", "--python", str(base), str(self.folder)])
        options = ["--quiet", "--require-hashes", *self.options, "--python", str(self.python)]
        run([_uv(), "pip", "sync", *options, str(self.lock)])
        self._stamp.touch()


LOCALSTACK = Venv("localstack", _LOCALSTACK / "requirements.lock")
RUNTIME = Venv("lambda-python3.13", _LOCALSTACK / "runtime.lock", ("--compile-bytecode",))
"""What functions run with: AWS's runtime client and the packages that AWS's runtime provides.

It is compiled here, because it is read-only for functions: each cold start would compile it again.
"""


def executor() -> Path:
    """The folder of the installed process executor, for LocalStack's PYTHONPATH; changed sources mean another one."""
    sources = [*_EXECUTOR.glob("*.*"), *(_EXECUTOR / "localstack_process_executor").rglob("*.py")]
    return cache() / f"process-executor-{fingerprints.of_files(sources, below=_EXECUTOR)[:12]}"


def are_installed() -> bool:
    """Whether LocalStack, the functions' runtime and the process executor are installed."""
    return LOCALSTACK.is_installed() and RUNTIME.is_installed() and executor().is_dir()


def install_executor() -> None:
    """Install the process executor; raises `CommandFailed`."""
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as folder:
        target = Path(folder) / "installed"
        run([_uv(), "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(_EXECUTOR)])
        target.rename(executor())


def write_executor_wheel(folder: Path) -> Path:
    """Build the process executor's wheel in the folder, in which it replaces others; raises `CommandFailed`."""
    for older in folder.glob("localstack_process_executor-*.whl"):
        older.unlink()
    options = ["--quiet", "--wheel", "--python", sys.executable, "--out-dir", str(folder)]
    run([_uv(), "build", *options, str(_EXECUTOR)])
    [wheel] = folder.glob("localstack_process_executor-*.whl")
    return wheel


def _uv() -> str:
    return str(Path(sys.executable).with_name("uv"))
