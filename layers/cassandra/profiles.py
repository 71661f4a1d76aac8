"""Copies of the public data of accounts, which conversations show."""

from collections.abc import Iterable
from datetime import datetime
from itertools import batched
from typing import Final
from uuid import UUID

import msgspec

from layers.cassandra import connection
from layers.core.events import ProfileUpdated

_AT_ONCE: Final = 100
"""Copies that one statement reads."""


class ProfileCopy(msgspec.Struct, frozen=True, kw_only=True):
    """The copy of an account."""

    user_id: UUID
    username: str
    display_name: str
    profile_picture_url: str | None
    is_hidden: bool
    """Whether the account is banned or removed."""
    version: int
    """Microseconds since 1970 of the change that was copied."""


SAVE: Final = """
    INSERT INTO profiles (user_id, username, display_name, profile_picture_url, is_hidden, updated_at)
    VALUES (:user_id, :username, :display_name, :profile_picture_url, :is_hidden, :updated_at)
     USING TIMESTAMP :changed_at
"""


def save(profile: ProfileUpdated) -> None:
    """Store a copy, unless there is a newer one: cells have the time of the change, and Cassandra keeps the latest.

    "No picture" is stored as the empty string: null would leave a tombstone with each write, and an unset value would
    keep an earlier picture.
    """
    values = {
        "user_id": profile.user_id,
        "username": profile.username,
        "display_name": profile.display_name,
        "profile_picture_url": profile.profile_picture_url or "",
        "is_hidden": profile.is_hidden,
        "updated_at": profile.updated_at,
        "changed_at": version_of(profile),
    }
    connection.execute(SAVE, values)


READ_ALL: Final = """
    SELECT user_id, username, display_name, profile_picture_url, is_hidden, WRITETIME(username) AS version
      FROM profiles WHERE user_id IN :user_ids
"""


def read_all(user_ids: Iterable[UUID]) -> dict[UUID, ProfileCopy]:
    """The copies of these accounts, by id; some may be missing."""
    chunks = batched(dict.fromkeys(user_ids), _AT_ONCE, strict=False)
    found = connection.execute_all(*((READ_ALL, {"user_ids": list(chunk)}) for chunk in chunks))
    return {
        row["user_id"]: ProfileCopy(
            **row | {"profile_picture_url": row["profile_picture_url"] or None, "is_hidden": bool(row["is_hidden"])}
        )
        for rows in found
        for row in rows
    }


def version_of(profile: ProfileUpdated) -> int:
    """Microseconds since 1970 of a change, computed in integers because a float would lose the last digits."""
    parsed = datetime.fromisoformat(profile.updated_at)
    return int(parsed.replace(microsecond=0).timestamp()) * 1_000_000 + parsed.microsecond
