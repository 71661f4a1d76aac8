"""What admins read and did. The trail outlives the accounts that it tells of."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Final
from uuid import UUID

import msgspec

from layers.core import trace
from layers.core.errors import StoreUnavailable
from layers.core.ids import new_id
from layers.core.models import Viewer
from layers.postgres import connection
from layers.postgres.connection import Connection

ADD: Final = """
    INSERT INTO audit (id, admin_id, action, target_id, details, trace_id)
    VALUES (%(id)s, %(admin_id)s, %(action)s, %(target_id)s, %(details)s, %(trace_id)s)
"""


def add(
    db: Connection,
    *,
    viewer: Viewer,
    action: str,
    target_id: UUID | None = None,
    details: Mapping[str, object] | None = None,
) -> None:
    """Note what an admin does, in the transaction that does it; `details` are JSON members."""
    values = {
        "id": new_id(),
        "admin_id": viewer.id,
        "action": action,
        "target_id": target_id,
        "details": msgspec.json.encode(details or {}).decode(),
        "trace_id": trace.trace_id.get(),
    }
    db.execute(ADD, values)


@contextlib.contextmanager
def noted(
    *,
    viewer: Viewer,
    action: str,
    target_id: UUID | None = None,
    details: Mapping[str, object] | None = None,
    answer_seconds: float = connection.WORK_SECONDS,
) -> Iterator[Connection]:
    """A transaction that does something for an admin, with the note of it.

    What is refused leaves a note as well, with the reason under `refused`; what cannot be noted is not done. Raises
    `StoreUnavailable`, then without a note: nothing was done.
    """
    told = dict(details or {})
    try:
        with connection.transaction(answer_seconds=answer_seconds) as db:
            add(db, viewer=viewer, action=action, target_id=target_id, details=told)
            yield db
    except StoreUnavailable:
        raise
    except Exception as error:
        with connection.autocommit(answer_seconds=answer_seconds) as db:
            refusal = told | {"refused": str(error)}
            add(db, viewer=viewer, action=action, target_id=target_id, details=refusal)
        raise
