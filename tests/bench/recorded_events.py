"""What recording events costs a warm feed: CPU time per request with it against without it.

python -m tests.bench.recorded_events [--blocks 600] [--requests 20]

The HTTP host's application is called in this process, one request after the other, with and without recording in short
turns. What a host's thread writes once a second is measured beside, and added at the rate of a host at full load.
"""

import argparse
import contextlib
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from infra.events import recorded
from infra.events.recorded import Bounds, Recorder
from infra.local import serve
from tests.bench.aims import Aim, report
from tests.support.feed_posts import publish_post
from tests.support.people import follow, new_person
from tests.support.stack import load_environment

AUTHORS: Final = 5
POSTS: Final = 4
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
    parser.add_argument("--blocks", type=int, default=600)
    parser.add_argument("--requests", type=int, default=20, help="in a block")
    arguments = parser.parse_args()
    load_environment()
    os.environ["RATE_LIMITS"] = json.dumps(_NO_LIMITS)
    with tempfile.TemporaryDirectory() as folder, _log_to(Path(folder) / "log"):
        environ = _warm_feed()
        recorder = _Recorder(Path(folder), Bounds())
        without, with_it, writes = [], [], []
        for block in range(arguments.blocks):
            turns = ((without, None), (with_it, recorder))
            for measured, chosen in turns if block % 2 else reversed(turns):
                measured.append(_microseconds(environ, chosen, arguments.requests))
            began = time.thread_time()
            recorder.write()
            writes.append((time.thread_time() - began) * 1e6)
    base, noting = statistics.median(without), statistics.median(with_it)
    write = statistics.median(writes)
    share = write * base / 1e6
    print(f"a request takes {base:.1f} µs of CPU time, and {noting:.1f} µs when it is noted")
    print(f"to write the last events takes {write:.0f} µs each second: {share:.2f} µs of each request at full load")
    report("recorded_events", {AIM: (noting + share) / base})


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


def _microseconds(environ: Mapping[str, Any], recorder: Recorder | None, requests: int) -> float:
    """CPU time of this thread per request."""
    vars(recorded)["_recorder"] = lambda: recorder
    began = time.thread_time()
    for _ in range(requests):
        serve.application({**environ, "wsgi.input": io.BytesIO()}, lambda *_: None)
    return (time.thread_time() - began) / requests * 1e6


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
    answered: list[str] = []
    for _ in range(3):
        serve.application({**environ, "wsgi.input": io.BytesIO()}, lambda status, _: answered.append(status))
    assert answered[-1].startswith("200"), answered
    return environ


if __name__ == "__main__":
    main()
