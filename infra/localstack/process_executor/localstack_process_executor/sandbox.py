"""Finds out how this machine can isolate environments, and starts their first process."""

import contextlib
import json
import logging
import marshal
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .inside.contract import Launch

LOG = logging.getLogger(__name__)

_PACKAGE = Path(__file__).parent
_BOOTSTRAP = _PACKAGE / "inside" / "runtime"
_LAUNCHER = (
    sys.executable,
    "-s",
    "-S",
    "-c",
    "from localstack_process_executor.inside.launch import main; main()",
)
NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
USER_NAMESPACE = (*NAMESPACES, "--user", "--map-user=993", "--map-group=990", "--keep-caps")
_VARIABLES = {
    "LANG": "en_US.UTF-8",
    "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    "LAMBDA_TASK_ROOT": "/var/task",
    "LAMBDA_RUNTIME_DIR": "/var/runtime",
    "TZ": ":UTC",
}
_INSPECT = """
import json, os, site, sys, sysconfig, awslambdaric
installation = os.path.realpath(sys.base_prefix)
folders = [each for each in map(os.path.realpath, site.getsitepackages([sys.base_prefix])) if os.path.isdir(each)]
interpreter = os.path.realpath(sys._base_executable)
print(json.dumps([interpreter, installation, sysconfig.get_path("purelib"), folders]))
"""
_MEGABYTE = 1024 * 1024

_WARNING = (
    "Lambda environments run without mount and process namespaces, which this machine does not allow (%s). Code and "
    "layers are not at /var/task and /opt and are writable; /tmp is shared and has no size limit."
)


class RuntimeUnusable(Exception):
    """The interpreter of a runtime is missing or lacks awslambdaric; the message says what to do."""


@dataclass(frozen=True)
class Runtime:
    """A Python that runs functions.

    `program` is its path, which may be in a virtual environment; `interpreter` is the executable behind it,
    `installation` the folder of that, and `packages` the folder of the packages. `site_folders` are the installation's
    own package folders; in an environment, `packages` is mounted over them.
    """

    program: str
    interpreter: str
    installation: str
    packages: str
    site_folders: tuple[str, ...]

    @classmethod
    def inspect(cls, program: str) -> "Runtime":
        """Inspect the interpreter by running it; raises `RuntimeUnusable`."""
        try:
            answer = subprocess.run([program, "-c", _INSPECT], capture_output=True, check=True, text=True)
        except OSError as error:
            raise RuntimeUnusable(f"{program}: {error.strerror}") from error
        except subprocess.CalledProcessError as error:
            raise RuntimeUnusable(f"{program} cannot import awslambdaric: {error.stderr}") from error
        interpreter, installation, packages, folders = json.loads(answer.stdout)
        return cls(program, interpreter, installation, packages, tuple(folders))

    def inside(self, path: str) -> str:
        """The path in an environment of a path of the installation."""
        return "/var/lang" + path.removeprefix(self.installation)


@dataclass(frozen=True, kw_only=True)
class Function:
    """The configuration of a function's environments; `layers` is the folder of the merged layers."""

    runtime: Runtime
    code: Path
    layers: Path | None
    variables: dict[str, str]
    version: str = "$LATEST"
    timeout_seconds: int = 3
    memory_megabytes: int = 128
    tmp_megabytes: int = 512


@dataclass(frozen=True)
class Sandbox:
    """Starts environments with the command `unshare`, which is empty if namespaces are not available."""

    state: Path
    unshare: tuple[str, ...]

    @classmethod
    def probe(cls, state: Path) -> "Sandbox":
        """The best sandbox that works on this machine; logs a warning if namespaces are not available."""
        reason = ""
        for unshare in (NAMESPACES, USER_NAMESPACE):
            sandbox = cls(state, unshare)
            reason = sandbox.find_problem()
            if not reason:
                return sandbox
        LOG.warning(_WARNING, reason)
        return cls(state, ())

    def start(self, function: Function, api: str, control: socket.socket, log: int) -> subprocess.Popen[bytes]:
        """Start the first process of an environment whose Runtime API is at `api` (host:port).

        It inherits `control` and writes its output to the descriptor `log`.
        """
        launch = self._namespaced(function) if self.unshare else self._plain(function)
        launch["variables"]["AWS_LAMBDA_RUNTIME_API"] = api
        return self._launch(launch, control, log)

    def _namespaced(self, function: Function) -> Launch:
        runtime = function.runtime
        binds = [
            (runtime.installation, "/var/lang"),
            *((runtime.packages, runtime.inside(folder)) for folder in runtime.site_folders),
            (str(_BOOTSTRAP), "/var/runtime"),
            (str(function.code), "/var/task"),
        ]
        if function.layers:
            binds.append((str(function.layers), "/opt"))
        return {
            "root": str(self.state / "root"),
            "binds": binds,
            "tmp_bytes": function.tmp_megabytes * _MEGABYTE,
            "memory_bytes": function.memory_megabytes * _MEGABYTE,
            "command": [runtime.inside(runtime.interpreter), "/var/runtime/bootstrap.py", "/opt"],
            "folder": "/var/task",
            "variables": _VARIABLES | function.variables,
        }

    def _plain(self, function: Function) -> Launch:
        folders = {"LAMBDA_TASK_ROOT": str(function.code), "LAMBDA_RUNTIME_DIR": str(_BOOTSTRAP)}
        return {
            "root": None,
            "binds": [],
            "tmp_bytes": 0,
            "memory_bytes": function.memory_megabytes * _MEGABYTE,
            "command": [function.runtime.program, str(_BOOTSTRAP / "bootstrap.py"), str(function.layers or "")],
            "folder": str(function.code),
            "variables": _VARIABLES | function.variables | folders,
        }

    def _launch(self, launch: Launch, control: socket.socket, log: int) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [*self.unshare, *_LAUNCHER, str(control.fileno())],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[control.fileno()],
            env={"PATH": os.defpath, "PYTHONPATH": str(_PACKAGE.parent)},
            start_new_session=True,  # so that a signal to LocalStack's process group does not interrupt an invocation
        )
        with contextlib.suppress(BrokenPipeError), process.stdin as stream:  # type: ignore[union-attr]  # it is a pipe
            stream.write(marshal.dumps(dict(launch)))  # if the process ended before reading, its log says why
        return process

    def find_problem(self) -> str:
        """Start an environment to see whether that works; the reason if it does not, otherwise empty."""
        (self.state / "root").mkdir(parents=True, exist_ok=True)
        launch: Launch = {
            "root": str(self.state / "root"),
            "binds": [],
            "tmp_bytes": _MEGABYTE,
            "memory_bytes": _MEGABYTE * 128,
            "command": ["/bin/true"],
            "folder": "/",
            "variables": {},
        }
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        reader, writer = os.pipe()
        with ours, theirs, os.fdopen(reader) as output:
            try:
                process = self._launch(launch, theirs, writer)
            except FileNotFoundError as error:
                return str(error)
            finally:
                os.close(writer)
            theirs.close()
            text = output.read()
            process.wait()
            message = ours.recv(64)
        return "" if message.startswith(b"exited 0 ") else text.strip().rpartition("\n")[2] or "no answer"
