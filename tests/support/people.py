"""Accounts to test with: each test creates its own, with unique names."""

import secrets
from uuid import UUID

import msgspec

from layers.core.ids import new_id
from layers.core.models import Role, Viewer
from layers.postgres import follows, sessions, users
from layers.postgres.connection import transaction

NO_PASSWORD = "!"  # matches no password: most tests do not log in, and hashing is slow


class Person(msgspec.Struct, frozen=True):
    """A signed-in account."""

    id: UUID
    username: str
    session_id: str
    role: Role = "user"

    @property
    def viewer(self) -> Viewer:
        """The person as layers see the caller."""
        return Viewer(id=self.id, username=self.username, role=self.role, session_id=self.session_id)


def new_person(name: str = "p", *, role: Role = "user", private: bool = False) -> Person:
    """An account of its own for a test, signed in."""
    username = f"{name}_{secrets.token_hex(5)}"
    user_id = new_id()
    with transaction() as db:
        users.create(
            db,
            user_id=user_id,
            username=username,
            email=f"{username}@example.org",
            password_hash=NO_PASSWORD,
            display_name=name.title(),
        )
        if role != "user":
            users.grant(db, username=username, role=role)
        if private:
            db.execute("UPDATE users SET is_private = true WHERE id = %s", [user_id])
        session_id = sessions.start(db, user_id=user_id)
    return Person(id=user_id, username=username, session_id=session_id, role=role)


def follow(follower: Person, target: Person) -> None:
    """An accepted follow, of a private account too."""
    with transaction() as db:
        db.execute("INSERT INTO follows (follower_id, following_id) VALUES (%s, %s)", [follower.id, target.id])
        db.execute(follows.UPDATE_COUNTS, {"follower_id": follower.id, "target_id": target.id, "change": 1})
