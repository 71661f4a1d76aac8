"""Files sent straight to the store, as a client of presigned URLs sends them."""

from typing import Any
from uuid import UUID

import httpx

from functions.posts import create_post, create_uploads
from layers.media import connection, uploads
from layers.postgres.connection import transaction
from tests.support.calls import Reply, call
from tests.support.people import Person

OLDER = """
    UPDATE uploads SET created_at = created_at - %(seconds)s * interval '1 s',
                       expires_at = expires_at - %(seconds)s * interval '1 s' WHERE id = ANY(%(ids)s)
"""


def ask(person: Person, *files: tuple[int, str], headers: dict[str, str] | None = None) -> Reply:
    """The answer for files of these sizes and types."""
    body = {"files": [{"size": size, "type": media_type} for size, media_type in files]}
    return call(create_uploads, session_id=person.session_id, body=body, headers=headers)


def ask_one(person: Person, size: int, media_type: str = "image/jpeg") -> dict[str, Any]:
    """One upload, not sent yet."""
    reply = ask(person, (size, media_type))
    assert reply.status == 201, reply.body
    upload: dict[str, Any] = reply.json["uploads"][0]
    return upload


def put(upload: dict[str, Any], data: bytes, **headers: str) -> httpx.Response:
    """Send the file as the answer says, with other headers laid over."""
    sent = {**upload["headers"], **{name.replace("_", "-"): value for name, value in headers.items()}}
    return httpx.request(upload["method"], upload["url"], content=data, headers=sent, timeout=20)


def send(person: Person, *files: bytes, media_type: str = "image/jpeg") -> list[str]:
    """Uploads that have arrived; their ids."""
    if not files:
        return []
    reply = ask(person, *[(len(data), media_type) for data in files])
    assert reply.status == 201, reply.body
    for upload, data in zip(reply.json["uploads"], files, strict=True):
        assert put(upload, data).status_code == 200
    return [upload["id"] for upload in reply.json["uploads"]]


def create(person: Person, *upload_ids: object, headers: dict[str, str] | None = None, **said: object) -> Reply:
    """A post made of them."""
    body = {"uploads": [str(upload_id) for upload_id in upload_ids], **said}
    return call(create_post, session_id=person.session_id, body=body, headers=headers)


def is_stored(upload_id: str) -> bool:
    """Whether its file lies among the uploads."""
    return connection.exists(uploads.key(UUID(upload_id)))


def has_row(upload_id: str) -> bool:
    """Whether it is known."""
    with transaction() as db:
        return db.execute("SELECT FROM uploads WHERE id = %s", [upload_id]).fetchone() is not None


def grow_older(*upload_ids: str, seconds: float) -> None:
    """Let so much time pass for them."""
    with transaction() as db:
        db.execute(OLDER, {"seconds": seconds, "ids": [UUID(upload_id) for upload_id in upload_ids]})
