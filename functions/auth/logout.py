"""POST /api/v1/auth/logout: the session ends, on every node and for good."""

from layers.core import admission, metrics
from layers.core.endpoint import endpoint
from layers.core.models import Told, Viewer
from layers.core.response import SignedOut
from layers.postgres import sessions
from layers.postgres.connection import transaction


@endpoint
def handler(viewer: Viewer | None) -> SignedOut[Told]:
    if viewer is not None:
        with transaction() as db:
            revocation = sessions.end(db, session_id=viewer.session_id)
        if revocation and admission.revoke(revocation):
            sessions.forget(revocation)
        metrics.AUTH_ATTEMPTS.labels("logout", "success").inc()
    return SignedOut(Told(message="Signed out."))
