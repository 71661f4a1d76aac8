"""What recording events costs a warm feed: CPU time per request with it against without it.

python -m tests.bench.recorded_events [--blocks 300] [--requests 20]

The HTTP host's application is called in this process, one request after the other. In turns with it, what recording
adds is measured by itself, since it is smaller than what two blocks of requests differ by: to note an event and its
answer, and what a host's thread writes once a second, at the rate of a host at full load.
"""

import argparse
import contextlib
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from infra.chalice.app import app
from infra.events.recorded import Bounds, Noted, Recorder
from infra.events.rest import Event, build_event
from infra.local import serve
from tests.bench.aims import Aim, report
from tests.support.feed_posts import publish_post
from tests.support.people import follow, new_person
from tests.support.stack import load_environment

AUTHORS: Final = 5
POSTS: Final = 4
NAME: Final = "feed/get_feed"
AIM: Final = Aim(name="CPU time, warm feed with recording / without", at_most=1.02)
AIMS: Final = (AIM,)
_NO_LIMITS: Final = {action: [10**9, 1] for action in ("general", "feed")}


class _Recorder(Recorder):
    """Writes when it is asked to."""

    def _write_repeatedly(self) -> None:
        pass


def main() -> None:
    """Print what each part costs, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=300)
    parser.add_argument("--requests", type=int, default=20, help="in a block")
    arguments = parser.parse_args()
    load_environment()
    os.environ["RATE_LIMITS"] = json.dumps(_NO_LIMITS)
    with tempfile.TemporaryDirectory() as folder, _log_to(Path(folder) / "log"):
        environ = _warm_feed()
        event, reply = _exchange(environ)
        recorder = _Recorder(Path(folder), Bounds())
        costs: dict[str, list[float]] = {"request": [], "note": [], "write": []}
        works: dict[str, tuple[int, Callable[[], object]]] = {
            "request": (arguments.requests, lambda: _request(environ)),
            "note": (arguments.requests, lambda: recorder.note(NAME, Noted(time.time(), "http", event, reply, 0, ""))),
            "write": (1, recorder.write),
        }
        for _ in range(arguments.blocks):
            for name, (times, work) in works.items():
                costs[name].append(_microseconds(work, times))
    request, note, write = (statistics.median(costs[name]) for name in works)
    share = write * request / 1e6
    print(f"a request takes {request:.1f} µs of CPU time; to note it takes {note:.2f} µs")
    print(f"to write the last events takes {write:.0f} µs each second: {share:.2f} µs of each request at full load")
    report("recorded_events", {AIM: (request + note + share) / request})


@contextlib.contextmanager
def _log_to(file: Path) -> Iterator[None]:
    """Write the log of the host into a file, as hosts do."""
    output = os.dup(1)
    with file.open("w") as log:
        os.dup2(log.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(output, 1)
        os.close(output)


def _microseconds(work: Callable[[], object], times: int) -> float:
    """CPU time of this thread for one call."""
    began = time.thread_time()
    for _ in range(times):
        work()
    return (time.thread_time() - began) / times * 1e6


def _request(environ: Mapping[str, Any]) -> str:
    """The status of a request."""
    answered: list[str] = []
    serve.application({**environ, "wsgi.input": io.BytesIO()}, lambda status, _: answered.append(status))
    return answered[0]


def _exchange(environ: Mapping[str, Any]) -> tuple[Event, Any]:
    """The event of a request, and the reply to it."""
    event = build_event(
        method="GET",
        path=environ["PATH_INFO"],
        resource=environ["PATH_INFO"],
        variables={},
        query="",
        headers=[(name[5:].lower(), value) for name, value in environ.items() if name.startswith("HTTP_")],
        body=b"",
        peer="127.0.0.1",
    )
    return event, app(event, None)


def _warm_feed() -> dict[str, Any]:
    """The WSGI environment of a request for a feed that is in Valkey."""
    reader = new_person("reader")
    for _ in range(AUTHORS):
        author = new_person("author")
        follow(reader, author)
        for _ in range(POSTS):
            publish_post(author)
    environ = {
        "PATH_INFO": "/api/v1/feed",
        "REQUEST_METHOD": "GET",
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_COOKIE": f"session_id={reader.session_id}",
        "HTTP_HOST": "localhost:3000",
        "HTTP_ACCEPT": "application/json",
        "HTTP_USER_AGENT": "bench",
        "HTTP_X_FORWARDED_FOR": "127.0.0.1",
    }
    statuses = [_request(environ) for _ in range(3)]
    assert statuses[-1].startswith("200"), statuses
    return environ


if __name__ == "__main__":
    main()
