"""Who is who in conversations, and who is hidden there: banned and removed accounts, from all but admins.

Names and pictures are copies that stand beside the messages; whether somebody is hidden is asked of the rows, and of
the copies only while those are away. Core imports no store; these are named here as ports and loaded at first use.
"""

import functools
import importlib
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, cast
from uuid import UUID

from layers.core.errors import ConversationNotFound, StoreUnavailable
from layers.core.models import Person, UserCard, Viewer


class Profile(Protocol):
    """A copy."""

    username: str
    profile_picture_url: str | None
    is_hidden: bool


class Copies(Protocol):
    """`layers.cassandra.profiles`."""

    def read_all(self, user_ids: Collection[UUID]) -> Mapping[UUID, Profile]:
        """The copies of these accounts; of some there may be none yet. Raises `StoreUnavailable`."""


class Register(Protocol):
    """`layers.postgres.users`."""

    def shown(self, user_ids: Collection[UUID]) -> Mapping[UUID, UserCard]:
        """Those of these accounts that are there and not banned. Raises `StoreUnavailable`."""


class Conversation(Protocol):
    """`layers.cassandra.conversations.Conversation`."""

    @property
    def member_ids(self) -> Sequence[UUID]:
        """Those who take part."""

    def other_than(self, user_id: UUID) -> UUID | None:
        """The other one of a pair; None in a group."""


@functools.cache
def _copies() -> Copies:
    return cast("Copies", importlib.import_module("layers.cassandra.profiles"))


@functools.cache
def _register() -> Register:
    return cast("Register", importlib.import_module("layers.postgres.users"))


def hidden(user_ids: Collection[UUID], viewer: Viewer) -> frozenset[UUID]:
    """Those of these people whose messages and names the viewer does not see."""
    asked = set(user_ids) - {viewer.id}
    if viewer.role == "admin" or not asked:
        return frozenset()
    try:
        return frozenset(asked - _register().shown(asked).keys())
    except StoreUnavailable as error:
        if error.store != "database":
            raise
        return frozenset(id_ for id_, profile in _copies().read_all(asked).items() if profile.is_hidden)


def reachable(user_ids: Collection[UUID]) -> dict[UUID, Person]:
    """Those of these people to whom one may write: they are there and not banned."""
    try:
        shown: Mapping[UUID, Profile | UserCard] = _register().shown(user_ids)
    except StoreUnavailable as error:
        if error.store != "database":
            raise
        shown = {id_: copy for id_, copy in _copies().read_all(user_ids).items() if not copy.is_hidden}
    return {id_: _person(id_, each) for id_, each in shown.items()}


def hidden_in(conversation: Conversation, viewer: Viewer) -> frozenset[UUID]:
    """Those whose messages the viewer does not see there. Raises `ConversationNotFound` if it is all there is."""
    found = hidden(conversation.member_ids, viewer)
    if conversation.other_than(viewer.id) in found:
        raise ConversationNotFound
    return found


def named(user_ids: Collection[UUID]) -> dict[UUID, Person]:
    """Name and picture of these people as conversations show them; who has no copy yet is looked up in the rows."""
    copies = _copies().read_all(user_ids)
    missing = set(user_ids) - copies.keys()
    try:
        cards = _register().shown(missing) if missing else {}
    except StoreUnavailable:
        cards = {}
    known: dict[UUID, Profile | UserCard] = {**cards, **copies}
    return {id_: _person(id_, each) for id_, each in known.items()}


def _person(user_id: UUID, known: Profile | UserCard) -> Person:
    return Person(id=user_id, username=known.username, profile_picture=known.profile_picture_url)
