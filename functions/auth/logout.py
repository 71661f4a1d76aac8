"""POST /api/v1/auth/logout: end the session on all instances.

A request without a session gets the same answer.
"""

from layers.core import metrics
from layers.core.models import Confirmation, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.entrypoints.response import SignedOut
from layers.services import sessions


@endpoint
def handler(viewer: Viewer | None) -> SignedOut[Confirmation]:
    if viewer is not None:
        sessions.end(viewer.session_id)
        metrics.AUTH_ATTEMPTS.labels("logout", "success").inc()
    return SignedOut(Confirmation(message="Signed out."))
