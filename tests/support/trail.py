"""The audit trail of an admin."""

from typing import Any
from uuid import UUID

import msgspec

from layers.postgres.connection import transaction
from tests.support.people import Person


class Entry(msgspec.Struct, frozen=True):
    """One row."""

    action: str
    target_id: UUID | None
    details: dict[str, Any]
    trace_id: str | None


def trail_of(admin: Person) -> list[Entry]:
    """What the admin did, oldest first."""
    with transaction() as db:
        rows = db.execute(
            "SELECT action, target_id, details, trace_id FROM audit WHERE admin_id = %s ORDER BY id", [admin.id]
        ).fetchall()
    return [Entry(*row) for row in rows]
