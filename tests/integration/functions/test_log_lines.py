"""One log line for each request to a function."""

from datetime import datetime, timedelta
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from functions.auth import get_me
from functions.comments import create_comment
from functions.feed import get_feed
from functions.posts import create_post, like_post
from tests import pictures
from tests.support.calls import Reply, Upload, call, multipart, sample
from tests.support.feed_posts import publish_post
from tests.support.logs import capture_log
from tests.support.people import Person

COMMENT = {"content": "voil\u00e0 \U0001f5dd"}
FORM: tuple[list[Upload], dict[str, str]] = ([Upload(pictures.jpeg(40, 30))], {"caption": "caf\u00e9"})
FIELDS = {
    *("level", "timestamp", "request_id", "method", "path", "user_id", "status", "duration_ms"),
    *("content_length", "response_bytes"),
}


class Sent(msgspec.Struct, frozen=True):
    """A request, and what its line says of it."""

    module: ModuleType
    status: int
    body_bytes: int = 0
    given: dict[str, Any] = {}
    is_anonymous: bool = False


def _requests(post_id: UUID) -> list[Sent]:
    return [
        Sent(get_me, 200),
        Sent(get_me, 401, is_anonymous=True),
        Sent(get_feed, 200),
        Sent(
            create_comment,
            201,
            body_bytes=len(msgspec.json.encode(COMMENT)),
            given={"path": {"post_id": post_id}, "body": COMMENT},
        ),
        Sent(create_post, 202, body_bytes=len(multipart(*FORM)[1]), given={"form": FORM}),
        Sent(like_post, 404, given={"path": {"post_id": uuid4()}}),
    ]


@pytest.mark.rule("R-O3")
def test_each_request_writes_one_line_with_what_it_was_and_how_it_was_answered(ada: Person) -> None:
    for sent in _requests(publish_post(ada)):
        session_id = None if sent.is_anonymous else ada.session_id
        trace_id = str(uuid4())
        with capture_log() as lines:
            reply = call(sent.module, session_id=session_id, headers={"x-trace-id": trace_id}, **sent.given)
        found = [line for line in lines() if line["message"] == "request"]

        assert reply.status == sent.status
        assert len(found) == 1
        _check(found[0], sent, reply, user_id=None if sent.is_anonymous else str(ada.id), trace_id=trace_id)


def _check(line: dict[str, Any], sent: Sent, reply: Reply, *, user_id: str | None, trace_id: str) -> None:
    event = sample(sent.module)
    assert set(line) >= FIELDS, sent
    assert datetime.fromisoformat(line["timestamp"]).utcoffset() == timedelta()
    assert 0 <= line["duration_ms"] < 10_000
    assert {name: line[name] for name in FIELDS - {"timestamp", "duration_ms"}} == {
        "level": "INFO",
        "request_id": trace_id,
        "method": event["httpMethod"],
        "path": event["path"],
        "user_id": user_id,
        "status": sent.status,
        "content_length": sent.body_bytes,
        "response_bytes": len(reply.body),
    }
