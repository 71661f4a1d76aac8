"""Live $disconnect: remove a closed connection."""

from layers.entrypoints.websocket import WebSocketEvent, on_websocket_event
from layers.valkey import live_events


@on_websocket_event
def handler(event: WebSocketEvent) -> None:
    live_events.remove_connection(event.connection_id)
