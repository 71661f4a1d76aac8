"""Live $connect: a signed-in browser or script wants to hear what happens."""

from layers.core import admission, cors, live
from layers.core.errors import SignInRequired, TooMany
from layers.core.websocket import Call, on_call


@on_call
def handler(call: Call) -> None:
    cors.check_origin("POST", call.headers.get("origin"))  # browsers let any page connect, with our cookie
    admitted = admission.admit(call.session_id, call.address, None)
    if admitted.session is None:
        raise SignInRequired
    if admitted.count and not admitted.count.accepted:
        raise TooMany(admitted.count.limit.action, retry_after=max(1, admitted.count.reset_seconds))
    session = admitted.session
    if not live.mailboxes().opened(call.connection_id, user_id=session.user_id, session_id=session.id):
        raise TooMany("live", "You listen over very many connections already.", retry_after=60)
