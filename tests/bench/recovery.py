"""How much is lost when a stack ends at once while it takes writes, and how long it takes until it is restored.

python -m tests.bench.recovery

It starts a stack of its own and fills it, then rows, messages and files are written without a pause until all
processes are killed and the data are deleted. What is lost is the time from the oldest write that was acknowledged and
is missing after the restore to the end of the stack.
"""

import functools
import os
import shutil
import threading
import time
from collections.abc import Callable
from typing import Final
from uuid import uuid1, uuid4

import psycopg

from infra.backup import files
from layers.cassandra import connection
from layers.cassandra.messages import StoredMessage
from layers.core.settings import settings
from tests.pictures import phone_photo
from tests.support import messages
from tests.support.http import Caller
from tests.support.own_stack import OwnStack, own_stack
from tests.support.waiting import until

SECONDS: Final = 60
"""How long is written before the end."""
ACCOUNTS: Final = 5
POSTS: Final = 10
PAUSE_SECONDS: Final = 0.02

type Acknowledged = dict[str, float]
"""When each write was acknowledged."""


def main() -> None:
    """Print the times."""
    with own_stack() as stack:
        stack.run("infra.stack", "up")
        os.environ.update(stack.settings())
        settings.cache_clear()
        _fill()
        print(stack.run("infra.backup", "base"))
        acknowledged, ended_at = _write(stack)
        saved = stack.backup.with_name("saved")
        shutil.move(stack.backup, saved)
        for moment in ([], ["--to", "latest"]):
            shutil.rmtree(stack.backup, ignore_errors=True)
            shutil.copytree(saved, stack.backup)
            began = time.monotonic()
            print(stack.run("infra.backup", "restore", *moment))
            restored = time.monotonic()
            stack.run("infra.stack", "up")
            print(f"restored in {restored - began:.1f} s, started in {time.monotonic() - restored:.1f} s")
            for kind, found in _read(stack).items():
                lost = [at for name, at in acknowledged[kind].items() if name not in found]
                seconds = ended_at - min(lost, default=ended_at)
                print(f"{kind}: {len(lost)} of {len(acknowledged[kind])} lost, {seconds:.2f} s")
            stack.destroy()


def _fill() -> None:
    for _ in range(ACCOUNTS):
        author = Caller("author")
        created = [author.upload(phone_photo())["post_id"] for _ in range(POSTS)]
        for post_id in created:
            until(functools.partial(author.published, post_id), seconds=120, every=0.2)


def _write(stack: OwnStack) -> tuple[dict[str, Acknowledged], float]:
    """Write until the stack is killed; what was acknowledged, and when the stack ended."""
    values, conversation_id = stack.settings(), uuid4()
    store = files.connect(values)
    db = psycopg.connect(values["DATABASE_URL"], autocommit=True)

    def add_row(text: str) -> None:
        db.execute("INSERT INTO audit (id, admin_id, action) VALUES (%s, %s, %s)", [uuid4(), uuid4(), text])

    def send(text: str) -> None:
        message_id = uuid1()
        message = StoredMessage(
            message_id=message_id,
            sender_id=conversation_id,
            content=text,
            content_type="text",
            media_url=None,
            reply_to_id=None,
        )
        messages.store(conversation_id, message)

    def put(text: str) -> None:
        store.put_object(Bucket=values["S3_BUCKET"], Key=f"bench/{text}", Body=text.encode())

    writers: dict[str, Callable[[str], None]] = {"rows": add_row, "messages": send, "files": put}
    acknowledged: dict[str, Acknowledged] = {kind: {} for kind in writers}
    is_ended = threading.Event()

    def write(kind: str) -> None:
        number = 0
        while not is_ended.is_set():
            number += 1
            try:
                writers[kind](f"{kind} {number}")
            except Exception:  # noqa: BLE001 (the stack has ended)
                return
            acknowledged[kind][f"{kind} {number}"] = time.monotonic()
            time.sleep(PAUSE_SECONDS)

    threads = [threading.Thread(target=write, args=(kind,)) for kind in writers]
    for thread in threads:
        thread.start()
    time.sleep(SECONDS)
    stack.kill()
    ended_at = time.monotonic()
    is_ended.set()
    for thread in threads:
        thread.join()
    shutil.rmtree(stack.profile.state)
    return acknowledged, max(ended_at, *(max(each.values()) for each in acknowledged.values()))


def _read(stack: OwnStack) -> dict[str, set[str]]:
    """What was written and is there."""
    with psycopg.connect(settings().database_url) as db:
        rows = {row[0] for row in db.execute("SELECT action FROM audit")}
    session = connection.connect(settings().cassandra_keyspace)
    try:
        sent = {row["content"] for row in session.execute("SELECT content FROM messages", timeout=60)}
    finally:
        session.cluster.shutdown()
    values = stack.settings()
    keys = files.list_keys(files.connect(values), values["S3_BUCKET"])
    return {"rows": rows, "messages": sent, "files": {key.removeprefix("bench/") for key in keys}}


if __name__ == "__main__":
    main()
