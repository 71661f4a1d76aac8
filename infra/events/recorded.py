"""The last events of each function, as the local hosts gave them to it, with what it answered.

`record` keeps an event in memory, which costs a request about a microsecond; a thread writes it to a file of its own
within a second. Of a function that is called more often, it writes the last few of each second. The files hold no
secret (`infra.events.redaction`); they are readable by their owner only, and bounded in number, size and age.
"""

import contextlib
import functools
import os
import secrets
import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from infra.events import redaction
from layers.core.logging import logger

type Host = Literal["http", "queue", "schedule", "live"]

FOLDER: Final = "PHOTOGRAM_EVENTS_FOLDER"
"""The environment variable of a host with the folder of the files; without it, the host records nothing."""
COUNT: Final = "PHOTOGRAM_EVENTS"
KILOBYTES: Final = "PHOTOGRAM_EVENTS_KB"
DAYS: Final = "PHOTOGRAM_EVENTS_DAYS"
LAST: Final = "last"

_KILOBYTE: Final = 1024
_DAY_SECONDS: Final = 86_400
_AT_ONCE: Final = 4
"""How many events of a function are written in a second: the last ones."""
_PAUSE_SECONDS: Final = 1
_PRUNE_SECONDS: Final = 3600
_SUFFIX: Final = ".json"


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of each function at most."""

    count: int = 20
    kilobytes: int = 1024
    days: int = 7

    @classmethod
    def from_environment(cls) -> "Bounds":
        """The bounds of this host's environment variables."""
        given = {"count": os.environ.get(COUNT), "kilobytes": os.environ.get(KILOBYTES), "days": os.environ.get(DAYS)}
        return cls(**{name: int(value) for name, value in given.items() if value})


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """One invocation."""

    id: str
    """Begins with the time, so that the order of ids is that of the invocations."""
    function: str
    host: Host
    at: datetime
    duration_ms: float
    status: str
    """The HTTP status, `done`, or the name of the error."""
    trace_id: str | None
    event: dict[str, Any]
    result: Any
    is_whole: bool
    """Whether the event is complete, except for secrets; False if its body was too long."""


class Noted(msgspec.Struct, frozen=True):
    """An invocation that is not written yet."""

    ended_at: float
    host: Host
    event: Mapping[str, Any]
    result: Any
    seconds: float
    error: str


class Recorder:
    """Writes the invocations of one process."""

    def __init__(self, folder: Path, bounds: Bounds) -> None:
        self._folder = folder
        self._bounds = bounds
        self._noted: defaultdict[str, deque[Noted]] = defaultdict(lambda: deque(maxlen=_AT_ONCE))
        self._has_noted = threading.Event()
        self._writing = threading.Lock()
        self._pruned_at = -float(_PRUNE_SECONDS)
        threading.Thread(target=self._write_repeatedly, name="events", daemon=True).start()

    def note(self, function: str, noted: Noted) -> None:
        """Keep an invocation until it is written, but not a long body: uploads would fill the memory."""
        body = noted.event.get("body")
        if body is not None and len(body) > redaction.MAX_BODY:
            event = {**noted.event, "body": redaction.CUT, "isBase64Encoded": False}
            noted = msgspec.structs.replace(noted, event=event)
        self._noted[function].append(noted)
        if not self._has_noted.is_set():
            self._has_noted.set()

    def write(self) -> None:
        """Write what was noted; a full disk or a file that is away loses it."""
        with self._writing:
            for function, noted in list(self._noted.items()):
                try:
                    folder = self._folder / function
                    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                    while noted:
                        _write(folder, _recording(function, noted.popleft()))
                    prune(folder, self._bounds)
                except OSError:
                    noted.clear()
                except Exception:  # noqa: BLE001 (one event must not end the recording of all others)
                    logger().exception("event not recorded", function=function)

    def _write_repeatedly(self) -> None:
        while True:
            self._has_noted.wait()
            self._has_noted.clear()
            self.write()
            if time.monotonic() > self._pruned_at + _PRUNE_SECONDS:
                self._pruned_at = time.monotonic()
                with contextlib.suppress(OSError):
                    prune_all(self._folder, self._bounds)
            time.sleep(_PAUSE_SECONDS)


def record(
    function: str, host: Host, event: Mapping[str, Any], result: Any, *, seconds: float, error: str = ""
) -> None:
    """Record an invocation that has ended, if this host records any; `error` is the name of what it raised."""
    recorder = _recorder()
    if recorder is None:
        return
    recorder.note(function, Noted(time.time(), host, event, result, seconds, error))


def write_now() -> None:
    """Write what this process has recorded, before it ends."""
    if recorder := _recorder():
        recorder.write()


@functools.cache
def _recorder() -> Recorder | None:
    folder, bounds = os.environ.get(FOLDER), Bounds.from_environment()
    return Recorder(Path(folder), bounds) if folder and bounds.count else None


def list_events(folder: Path, function: str) -> list[Recording]:
    """The recordings of a function, newest first."""
    found = []
    for file in sorted((folder / function).glob(f"*{_SUFFIX}"), reverse=True):
        with contextlib.suppress(OSError, msgspec.MsgspecError):  # it was removed just now
            found.append(msgspec.json.decode(file.read_bytes(), type=Recording))
    return found


def read_event(folder: Path, function: str, wanted: str) -> Recording:
    """The recording with this id, or the `last` one; raises `LookupError`."""
    for each in list_events(folder, function):
        if wanted in (LAST, each.id):
            return each
    raise LookupError(f"{function} has no recorded event {wanted}. List them with: make events FN={function}")


def prune_all(folder: Path, bounds: Bounds) -> None:
    """Remove what exceeds the bounds, of every function."""
    for each in folder.glob("*/*/"):
        prune(each, bounds)


def prune(folder: Path, bounds: Bounds) -> None:
    """Remove the oldest files of a function that exceed the bounds."""
    kept_bytes, oldest = 0, time.time() - bounds.days * _DAY_SECONDS
    for position, file in enumerate(sorted(folder.iterdir(), reverse=True)):
        with contextlib.suppress(OSError):  # another host has removed it
            status = file.stat()
            kept_bytes += status.st_size
            if position >= bounds.count or kept_bytes > bounds.kilobytes * _KILOBYTE or status.st_mtime < oldest:
                file.unlink()


def _recording(function: str, noted: Noted) -> Recording:
    event = noted.event
    at = datetime.fromtimestamp(noted.ended_at - noted.seconds, UTC)
    account = _account(event, noted.host)
    return Recording(
        id=f"{at:%Y%m%dT%H%M%S.%f}-{secrets.token_hex(2)}",
        function=function,
        host=noted.host,
        at=at,
        duration_ms=round(noted.seconds * 1000, 2),
        status=noted.error or _status(noted.result),
        trace_id=_trace_id(event, noted.result),
        event=redaction.redact_event(event, function=function, account=account),
        result=redaction.redact_result(noted.result),
        is_whole=event.get("body") != redaction.CUT,
    )


def _write(folder: Path, recording: Recording) -> None:
    """Write a file that appears only when it is complete."""
    path = folder / f"{recording.id}{_SUFFIX}"
    hidden = path.with_suffix(".part")
    descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(recording, enc_hook=str))
        hidden.rename(path)
    except OSError:
        hidden.unlink(missing_ok=True)
        raise


def _account(event: Mapping[str, Any], host: Host) -> UUID | None:
    """Whose session the event has; None if it has none, or one that was not admitted."""
    from layers.entrypoints import admission  # noqa: PLC0415 (imports the drivers of the stores)
    from layers.entrypoints.request import session_id_in  # noqa: PLC0415

    cookies = {name.lower(): value for name, value in (event.get("headers") or {}).items() if name.lower() == "cookie"}
    session_id = session_id_in(cookies)
    if session_id is None:
        return None
    return _find_user(session_id) if host == "live" else admission.known_user(session_id)


def _find_user(session_id: str) -> UUID | None:
    """The user of a session: the host of live connections admits none itself."""
    from layers.core.errors import StoreUnavailable  # noqa: PLC0415
    from layers.postgres import sessions  # noqa: PLC0415
    from layers.postgres.connection import autocommit  # noqa: PLC0415

    with contextlib.suppress(StoreUnavailable), autocommit() as db:
        found = sessions.find(db, session_id=session_id)
        return found.session.user_id if found else None
    return None


def _status(result: object) -> str:
    if isinstance(result, dict) and "statusCode" in result:
        return str(result["statusCode"])
    return "done"


def _trace_id(event: Mapping[str, Any], result: Any) -> str | None:
    if "httpMethod" in event:
        headers = result.get("headers") if isinstance(result, dict) else None
        return (headers or {}).get("x-trace-id")
    if "requestContext" in event:
        request_id: str = event["requestContext"]["requestId"]
        return request_id
    for messages in (event.get("rmqMessagesByQueue") or {}).values():
        for message in messages:
            header = (message["basicProperties"].get("headers") or {}).get("x-trace-id")
            return bytes(byte % 256 for byte in header["bytes"]).decode() if isinstance(header, dict) else None
    return event.get("id")
