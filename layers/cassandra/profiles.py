"""What others see of an account, copied beside the messages that show it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from layers.cassandra import connection
from layers.core.events import ProfileUpdated


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """An account as a conversation shows it."""

    user_id: UUID
    username: str
    display_name: str
    profile_picture_url: str | None
    is_hidden: bool
    """Whether the account is banned or gone."""


PUT: Final = """
    INSERT INTO profiles (user_id, username, display_name, profile_picture_url, is_hidden, updated_at)
    VALUES (:user_id, :username, :display_name, :profile_picture_url, :is_hidden, :updated_at)
     USING TIMESTAMP :changed_at
"""


def put(profile: ProfileUpdated) -> None:
    """Keep the copy, unless a newer one is there: each cell's time is the change's, and Cassandra keeps the latest.

    No picture is written as the empty string. A null would leave a tombstone at every write, and an unset value
    would leave an earlier picture in place.
    """
    values = {
        "user_id": profile.user_id,
        "username": profile.username,
        "display_name": profile.display_name,
        "profile_picture_url": profile.profile_picture_url or "",
        "is_hidden": profile.is_hidden,
        "updated_at": profile.updated_at,
        "changed_at": _microseconds(profile.updated_at),
    }
    connection.execute(PUT, values)


READ: Final = """
    SELECT user_id, username, display_name, profile_picture_url, is_hidden FROM profiles WHERE user_id = :user_id
"""


def read(user_id: UUID) -> Profile | None:
    """The copy of an account, None before its first event has arrived."""
    return read_all([user_id]).get(user_id)


def read_all(user_ids: Iterable[UUID]) -> dict[UUID, Profile]:
    """The copies of these accounts; of some there may be none yet."""
    found = connection.execute_all(*((READ, {"user_id": user_id}) for user_id in dict.fromkeys(user_ids)))
    return {
        row["user_id"]: Profile(
            **row | {"profile_picture_url": row["profile_picture_url"] or None, "is_hidden": bool(row["is_hidden"])}
        )
        for rows in found
        for row in rows
    }


def _microseconds(moment: str) -> int:
    """Cassandra's unit of time; whole numbers, as a float of this size loses the last of them."""
    parsed = datetime.fromisoformat(moment)
    return int(parsed.replace(microsecond=0).timestamp()) * 1_000_000 + parsed.microsecond
