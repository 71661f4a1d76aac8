"""Actions of admins, each in one transaction with its entry in the audit trail."""

import contextlib
from collections.abc import Iterator, Mapping
from uuid import UUID

from layers.core.errors import StoreUnavailable
from layers.core.models import Viewer
from layers.postgres import audit
from layers.postgres.connection import WORK_SECONDS, Connection, autocommit, transaction


@contextlib.contextmanager
def audited_transaction(
    *,
    viewer: Viewer,
    action: str,
    target_id: UUID | None = None,
    details: Mapping[str, object] | None = None,
    answer_seconds: float = WORK_SECONDS,
) -> Iterator[Connection]:
    """A transaction for an action of an admin, which also records the action in the audit trail.

    An action that fails is recorded too, with the reason under `refused`. Raises `StoreUnavailable`; then the action
    was neither done nor recorded.
    """
    recorded = dict(details or {})
    try:
        with transaction(answer_seconds=answer_seconds) as db:
            audit.record(db, viewer=viewer, action=action, target_id=target_id, details=recorded)
            yield db
    except StoreUnavailable:
        raise
    except Exception as error:
        with autocommit(answer_seconds=answer_seconds) as db:
            refusal = recorded | {"refused": str(error)}
            audit.record(db, viewer=viewer, action=action, target_id=target_id, details=refusal)
        raise
