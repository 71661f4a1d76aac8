"""Live $connect: accept a WebSocket connection of a signed-in user, to send live events over it."""

from layers.core.errors import SignInRequired, TooMany
from layers.core.limits import LIVE_CONNECTIONS
from layers.entrypoints import admission, cors
from layers.entrypoints.websocket import WebSocketEvent, on_websocket_event
from layers.valkey import live_events as streams


@on_websocket_event
def handler(event: WebSocketEvent) -> None:
    # Browsers let pages of any origin open a WebSocket, and send the cookie with it.
    cors.check_origin("POST", event.headers.get("origin"))
    admitted = admission.admit(event.session_id, event.address, None)
    if admitted.session is None:
        raise SignInRequired
    if admitted.count and not admitted.count.accepted:
        raise TooMany(admitted.count.limit.action, retry_after=max(1, admitted.count.reset_seconds))
    session = admitted.session
    if not streams.open_connection(event.connection_id, user_id=session.user_id, session_id=session.id):
        raise TooMany("live", f"Your account already has {LIVE_CONNECTIONS} live connections.", retry_after=60)
