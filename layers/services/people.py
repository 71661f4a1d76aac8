"""Participants of conversations: names and pictures, and which accounts are hidden because they are banned or removed.

Names and pictures are read from the copies in Cassandra. Whether an account is hidden is read from PostgreSQL,
and from the copies only while PostgreSQL is unavailable. Admins see hidden accounts.
"""

from collections.abc import Collection, Mapping
from uuid import UUID

from layers.cassandra import profiles
from layers.cassandra.profiles import ProfileCopy
from layers.core.errors import StoreUnavailable
from layers.core.models import Person, UserCard, Viewer
from layers.postgres import users
from layers.postgres.connection import autocommit


def find_hidden(user_ids: Collection[UUID], viewer: Viewer) -> frozenset[UUID]:
    """Those of these accounts whose messages and names the viewer does not see (R-B1, R-B2)."""
    others = set(user_ids) - {viewer.id}
    if viewer.role == "admin" or not others:
        return frozenset()
    try:
        return frozenset(others - _read_cards(others).keys())
    except StoreUnavailable as error:
        if error.store != "database":
            raise
        return frozenset(id_ for id_, profile in profiles.read_all(others).items() if profile.is_hidden)


def read_reachable(user_ids: Collection[UUID]) -> dict[UUID, Person]:
    """Those of these accounts that can get messages: they exist and are not banned."""
    try:
        reachable: Mapping[UUID, ProfileCopy | UserCard] = _read_cards(user_ids)
    except StoreUnavailable as error:
        if error.store != "database":
            raise
        reachable = {id_: profile for id_, profile in profiles.read_all(user_ids).items() if not profile.is_hidden}
    return {id_: _person(id_, each) for id_, each in reachable.items()}


def read_people(user_ids: Collection[UUID]) -> dict[UUID, Person]:
    """Name and picture of these accounts; those that have no copy yet are read from PostgreSQL."""
    copies = profiles.read_all(user_ids)
    missing = set(user_ids) - copies.keys()
    try:
        cards = _read_cards(missing) if missing else {}
    except StoreUnavailable:
        cards = {}
    found: dict[UUID, ProfileCopy | UserCard] = {**cards, **copies}
    return {id_: _person(id_, each) for id_, each in found.items()}


def _read_cards(user_ids: Collection[UUID]) -> dict[UUID, UserCard]:
    with autocommit() as db:
        return users.read_cards(db, user_ids=user_ids)


def _person(user_id: UUID, account: ProfileCopy | UserCard) -> Person:
    return Person(id=user_id, username=account.username, profile_picture=account.profile_picture_url)
