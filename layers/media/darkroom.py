"""The process that decodes pictures: warm, one picture at a time, and expendable.

Codecs are the surface that a hostile picture attacks. Here one may crash, run away or swallow memory, and only this
process ends; it is started again for the next picture. Pillow is imported nowhere else.

python -m layers.media.darkroom FILE_DESCRIPTOR   (started by `develop` alone)
"""

import contextlib
import resource
import socket
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from typing import Literal

import msgspec

from layers.core.errors import StoreUnavailable, UnreadableImage

type Job = Literal["photo", "story", "avatar"]

DEADLINE_SECONDS = 30
MEMORY_BYTES = 2 * 1024**3
_TRIES = 2
_START_SECONDS = 20

_lock = threading.Lock()


class _Room:
    """The running process and the pipe to it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", __name__, str(theirs.fileno())]
            self.process = subprocess.Popen(  # noqa: S603 (our own command)
                command, pass_fds=[theirs.fileno()], env={"PYTHONPATH": ":".join(filter(None, sys.path)) or "."}
            )
        self.pipe: Connection[bytes, bytes] = Connection(ours.detach())
        if not self.pipe.poll(_START_SECONDS) or self.pipe.recv_bytes() != b"ready":
            self.close()
            raise EOFError

    def close(self) -> None:
        """Kill it and let go of the pipe."""
        self.process.kill()
        self.process.wait()
        self.pipe.close()


_room: _Room | None = None


def develop[Result](job: Job, data: bytes, kind: type[Result]) -> Result:
    """What the job makes of a picture. Raises `UnreadableImage` for one that cannot be decoded.

    A picture on which the process died, or worked for more than 30 s, is tried once more on a fresh one: what ended
    the first may have been somebody else. The second time the picture is to blame.
    """
    with _lock:
        for attempt in range(_TRIES):
            try:
                answer = _asked(job, data)
            except (EOFError, OSError):
                _close()
                if attempt + 1 == _TRIES:
                    raise UnreadableImage("The picture cannot be processed.") from None
                continue
            verdict, content = answer[:1], answer[1:]
            if verdict == b"+":
                return msgspec.msgpack.decode(content, type=kind)
            raise UnreadableImage(content.decode())
        raise StoreUnavailable("image_processing")


def _asked(job: Job, data: bytes) -> bytes:
    global _room  # noqa: PLW0603 (one warm process per environment)
    if _room is None:
        _room = _Room()
    _room.pipe.send_bytes(job.encode())
    _room.pipe.send_bytes(data)
    if not _room.pipe.poll(DEADLINE_SECONDS):
        raise TimeoutError
    return _room.pipe.recv_bytes()


def _close() -> None:
    global _room  # noqa: PLW0603
    if _room is not None:
        _room.close()
        _room = None


def process_id() -> int | None:
    """The running process's id."""
    return _room.process.pid if _room is not None and _room.process.poll() is None else None


def main() -> None:
    """Take pictures until whoever sends them is gone."""
    from layers.media import rendering  # noqa: PLC0415 (the other side of the pipe needs no Pillow)

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    pipe: Connection[bytes, bytes] = Connection(int(sys.argv[1]))
    pipe.send_bytes(b"ready")
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            job, data = pipe.recv_bytes().decode(), pipe.recv_bytes()
            try:
                made = rendering.JOBS[job](data)
            except rendering.UNREADABLE as error:
                pipe.send_bytes(b"-" + rendering.reason(error).encode())
            else:
                pipe.send_bytes(b"+" + msgspec.msgpack.encode(made))


if __name__ == "__main__":
    main()
