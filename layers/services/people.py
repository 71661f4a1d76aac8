"""Participants of conversations: names and pictures, and which accounts are hidden because they are banned or removed.

Names and pictures are read from the copies in Cassandra. Whether an account is hidden is read from PostgreSQL,
and from the copies only while PostgreSQL is unavailable. Admins see hidden accounts.
"""

from collections.abc import Collection, Mapping
from uuid import UUID

import msgspec

from layers.cassandra import profiles
from layers.cassandra.profiles import ProfileCopy
from layers.core import waiting
from layers.core.errors import StoreUnavailable
from layers.core.models import Person, UserCard, Viewer
from layers.postgres import users
from layers.postgres.connection import autocommit
from layers.valkey.persons import VersionedPerson


class Hidden(msgspec.Struct, frozen=True):
    """Those of some accounts that are banned or removed."""

    ids: frozenset[UUID]
    is_current: bool
    """False if they were read from the copies, which follow a ban within minutes."""


def read_hidden(user_ids: Collection[UUID]) -> Hidden:
    """Those of these accounts that all but admins do not see."""
    try:
        return Hidden(frozenset(user_ids) - _read_cards(user_ids).keys(), is_current=True)
    except StoreUnavailable as error:
        if error.store != "database":
            raise
    copies = profiles.read_all(user_ids)
    return Hidden(frozenset(id_ for id_, profile in copies.items() if profile.is_hidden), is_current=False)


def find_hidden(user_ids: Collection[UUID], viewer: Viewer) -> Hidden:
    """Those of these accounts whose messages and names the viewer does not see (R-B1, R-B2)."""
    others = set(user_ids) - {viewer.id}
    if viewer.role == "admin" or not others:
        return Hidden(frozenset(), is_current=True)
    return read_hidden(others)


def read_reachable(user_ids: Collection[UUID]) -> dict[UUID, Person]:
    """Those of these accounts that can get messages: they exist and are not banned."""
    try:
        reachable: Mapping[UUID, ProfileCopy | UserCard] = _read_cards(user_ids)
    except StoreUnavailable as error:
        if error.store != "database":
            raise
        reachable = {id_: profile for id_, profile in profiles.read_all(user_ids).items() if not profile.is_hidden}
    return {id_: _person(id_, each) for id_, each in reachable.items()}


def read_people(user_ids: Collection[UUID]) -> dict[UUID, VersionedPerson]:
    """Name and picture of these accounts; those that have no copy yet are read from PostgreSQL."""
    copies = profiles.read_all(user_ids)
    missing = set(user_ids) - copies.keys()
    try:
        cards = _read_cards(missing) if missing else {}
    except StoreUnavailable:
        cards = {}
    found = {id_: VersionedPerson(_person(id_, each), version=0) for id_, each in cards.items()}
    return found | {id_: VersionedPerson(_person(id_, each), each.version) for id_, each in copies.items()}


def _read_cards(user_ids: Collection[UUID]) -> dict[UUID, UserCard]:
    """The accounts as PostgreSQL has them. Raises `StoreUnavailable` while there is still time to ask Cassandra."""
    with waiting.half(), autocommit() as db:
        return users.read_cards(db, user_ids=user_ids)


def _person(user_id: UUID, account: ProfileCopy | UserCard) -> Person:
    return Person(id=user_id, username=account.username, profile_picture=account.profile_picture_url)
