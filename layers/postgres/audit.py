"""The audit trail: the actions of admins. Entries stay when the accounts that they are about are removed."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from layers.core import trace
from layers.core.ids import floor_of, new_id
from layers.core.models import Viewer
from layers.core.settings import settings
from layers.postgres.connection import Connection

RECORD: Final = """
    INSERT INTO audit (id, admin_id, action, target_id, details, trace_id)
    VALUES (%(id)s, %(admin_id)s, %(action)s, %(target_id)s, %(details)s, %(trace_id)s)
"""


def record(
    db: Connection,
    *,
    viewer: Viewer,
    action: str,
    target_id: UUID | None = None,
    details: Mapping[str, object] | None = None,
) -> None:
    """Record an action of an admin, in the transaction of the action; `details` are stored as a JSON object."""
    values = {
        "id": new_id(),
        "admin_id": viewer.id,
        "action": action,
        "target_id": target_id,
        "details": msgspec.json.encode(details or {}).decode(),
        "trace_id": trace.trace_id.get(),
    }
    db.execute(RECORD, values)


DELETE_OLD: Final = """
    DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE id < %(first_kept)s ORDER BY id LIMIT %(at_most)s)
"""


def delete_old(db: Connection, *, at_most: int) -> int:
    """Delete entries older than `audit_retention_days`; returns their number."""
    oldest = datetime.now(UTC) - timedelta(days=settings().audit_retention_days)
    return db.execute(DELETE_OLD, {"first_kept": floor_of(oldest), "at_most": at_most}).rowcount
