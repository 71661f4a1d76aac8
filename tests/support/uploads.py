"""Posts in the middle of their way: rows committed, originals stored or not, nothing rendered."""

import functools
import io
import secrets
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote_plus
from uuid import UUID

import msgspec
from PIL import Image

from layers.core.ids import new_id, time_of
from layers.core.models import SIZES, rendition_key
from layers.media import connection, photos
from layers.media.connection import StoredFile
from layers.postgres import posts
from layers.postgres.connection import transaction
from tests.support.people import Person

OLDER_POST = """
    UPDATE posts SET created_at = created_at - %(seconds)s * interval '1 s',
                     updated_at = updated_at - %(seconds)s * interval '1 s'
     WHERE id = %(id)s
"""
OLDER_NOTES = """
    UPDATE outbox SET created_at = created_at - %(seconds)s * interval '1 s' WHERE body->>'post_id' = %(id)s
"""


class Begun(msgspec.Struct, frozen=True):
    """A post that waits for its pictures."""

    id: UUID
    author: Person
    keys: list[str]

    @property
    def status(self) -> str:
        """As the row has it."""
        with transaction() as db:
            return posts.read_status(db, post_id=self.id)

    @property
    def failure(self) -> str | None:
        """What the owner reads."""
        with transaction() as db:
            return posts.read(db, post_id=self.id, viewer=self.author.viewer).media[0].failure or None

    @property
    def files(self) -> set[str]:
        """Those of its renditions that are stored."""
        wanted = photos.all_keys(self.id, self.keys)
        return {key for key in wanted if key not in self.keys and connection.exists(key)}

    @property
    def all_files(self) -> set[str]:
        """Those that it has when all are stored."""
        return {
            rendition_key(self.id, number, size, extension)
            for number in range(len(self.keys))
            for size in SIZES
            for extension in ("jpg", "webp")
        }

    @property
    def notes(self) -> int:
        """Events of it that still wait in the outbox."""
        with transaction() as db:
            row = db.execute("SELECT count(*) FROM outbox WHERE body->>'post_id' = %s", [str(self.id)]).fetchone()
        assert row
        return int(row[0])

    @property
    def author_posts(self) -> int:
        """The author's number of published posts."""
        with transaction() as db:
            row = db.execute("SELECT post_count FROM users WHERE id = %s", [self.author.id]).fetchone()
        assert row
        return int(row[0])

    def event(self, number: int = 0, *, trace_id: str | None = None) -> dict[str, Any]:
        """MinIO's notification of one of its originals."""
        metadata = {"content-type": "image/jpeg"} | ({"X-Amz-Meta-Trace-Id": trace_id} if trace_id else {})
        record = {
            "eventName": "s3:ObjectCreated:Put",
            "s3": {
                "bucket": {"name": "instagram-media"},
                "object": {"key": quote_plus(self.keys[number]), "size": 1, "userMetadata": metadata},
            },
        }
        return {"EventName": "s3:ObjectCreated:Put", "Key": self.keys[number], "Records": [record]}

    def grow_older(self, seconds: float) -> None:
        """Let so much time pass for it."""
        with transaction() as db:
            db.execute(OLDER_POST, {"seconds": seconds, "id": self.id})
            db.execute(OLDER_NOTES, {"seconds": seconds, "id": str(self.id)})


@functools.cache
def picture() -> bytes:
    """A small JPEG."""
    file = io.BytesIO()
    Image.effect_noise((60, 40), 50).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def begin(author: Person, *files: bytes | None, is_notified: bool = False, seconds: float = 0) -> Begun:
    """A post so many seconds old, with these originals; None is one that did not arrive.

    Unless `is_notified`, the originals lie where the store does not notify, so that no other worker takes them.
    """
    post_id = new_id()
    folder = f"originals/{time_of(post_id):%Y/%m/%d}" if is_notified else f"unnotified/{secrets.token_hex(4)}"
    keys = [f"{folder}/{post_id}-{number}.jpg" for number in range(len(files))]
    with transaction() as db:
        posts.create(
            db,
            post_id=post_id,
            user_id=author.id,
            caption="",
            location=None,
            tags=[],
            pictures=[posts.NewPicture(id=new_id(), original_key=key) for key in keys],
        )
    begun = Begun(post_id, author, keys)
    begun.grow_older(seconds)
    put(zip(keys, files, strict=True))
    return begun


def put(files: "Sequence[tuple[str, bytes | None]] | zip[tuple[str, bytes | None]]") -> None:
    """Store originals."""
    connection.put_all([StoredFile(key, data, "image/jpeg") for key, data in files if data is not None])
