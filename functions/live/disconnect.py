"""Live $disconnect: a client is gone."""

from layers.core import live
from layers.core.websocket import Call, on_call


@on_call
def handler(call: Call) -> None:
    live.mailboxes().forget(call.connection_id)
