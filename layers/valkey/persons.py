"""Names and pictures of people, which entries of inboxes show: `person:{id}`.

A value is a version (8 bytes), the length of the name (2), the id as text (36), and name and picture as JSON. The
newest version wins in whatever order writes arrive. It lives for 4 min: so a change that Valkey missed shows within the
5 min of R-DM5.
"""

import struct
from collections.abc import Iterable
from typing import Final

import msgspec

from layers.core.errors import StoreUnavailable
from layers.core.models import Person
from layers.valkey.connection import Script, Value, mark_stale

_SECONDS: Final = 4 * 60
_HEADER: Final = struct.Struct(">QH36s")

STORE: Final = Script("person_store")


class VersionedPerson(msgspec.Struct, frozen=True):
    """A person at a time."""

    person: Person
    version: int
    """Microseconds since 1970 of the last change; 0 if it is unknown."""


def store(people: Iterable[VersionedPerson]) -> None:
    """Store people, each unless a newer version is stored."""
    values: list[Value] = []
    keys: list[bytes] = []
    for each in people:
        values += (each.person.id.bytes, _pack(each))
        keys.append(b"person:" + each.person.id.bytes)
    try:
        STORE(_SECONDS, *values)
    except StoreUnavailable:
        mark_stale(keys)


def _pack(versioned: VersionedPerson) -> bytes:
    person = versioned.person
    name, picture = msgspec.json.encode(person.username), msgspec.json.encode(person.profile_picture)
    return _HEADER.pack(versioned.version, len(name), str(person.id).encode()) + name + picture
