"""Reads the home feed with the code of a folder, for `feed_versions`; it also works with the code of earlier commits.

python tests/bench/feed_reader.py FOLDER USER_ID USERNAME SESSION_ID

A line on standard input, `hit 300`, is answered by the medians of so many calls as JSON, in seconds.
"""

import gc
import importlib
import json
import logging
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import redis

PAGE = 20
WARM_UP = {"hit": 50, "rebuild": 10, "request": 50}


def load_read(folder: Path) -> Callable[..., bytes]:
    """The function that reads a page, under its present name or an earlier one."""
    for module_name, name in (("layers.services.home_feed", "read"), ("layers.core.home_feed", "answer")):
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name not in (module_name, module_name.rpartition(".")[0]):
                raise
            continue
        assert Path(module.__file__ or "").is_relative_to(folder), module.__file__
        read: Callable[..., bytes] = getattr(module, name)
        return read
    sys.exit(f"{folder}: the home feed is in a module that this benchmark does not know")


def main() -> None:
    """Answer each line until standard input ends."""
    folder, user_id, username, session_id = sys.argv[1:]
    read = load_read(Path(folder))
    logging.disable()
    models: Any = importlib.import_module("layers.core.models")
    settings: Any = importlib.import_module("layers.core.settings")
    handler: Any = importlib.import_module("functions.feed.get_feed").handler
    valkey = redis.Redis.from_url(settings.settings().valkey_url)
    viewer = models.Viewer(id=UUID(user_id), username=username, role="user", session_id=session_id)
    event = json.loads((Path(folder) / "events" / "feed" / "get_feed.json").read_text())
    event |= {"queryStringParameters": None, "multiValueQueryStringParameters": None}
    event |= {"headers": {"Cookie": f"session_id={session_id}"}, "multiValueHeaders": None}

    def hit() -> bytes:
        return read(viewer, cursor=None, limit=PAGE)

    def request() -> bytes:
        answer = handler(event, None)
        assert answer["statusCode"] == 200, answer
        body: str = answer["body"]
        return body.encode()

    def measure(kind: str, calls: int) -> dict[str, float]:
        call = request if kind == "request" else hit
        wall, cpu = [], []
        for _ in range(calls):
            if kind == "rebuild":
                valkey.flushdb()
            started, used = time.perf_counter(), time.process_time()
            page = call()
            wall.append(time.perf_counter() - started)
            cpu.append(time.process_time() - used)
            assert page.startswith(b'{"posts":[{'), page[:200]
        return {"wall": statistics.median(wall), "cpu": statistics.median(cpu)}

    for kind, calls in WARM_UP.items():
        measure(kind, calls)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        kind, number = line.split()
        print(json.dumps(measure(kind, int(number))), flush=True)


if __name__ == "__main__":
    main()
