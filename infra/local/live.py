"""Live connections: what API Gateway's WebSocket API does, on one machine.

python -m infra.local.live --port 3009 [--reload]

`GET /live` with an upgrade is a connection: `$connect` decides whether it opens, each message goes to `$default`, its
end to `$disconnect`. `POST`, `GET` and `DELETE /@connections/{id}` are the management API by which functions send,
look and end. One asyncio process holds all connections; each route's function has an environment in a process of its
own, which never holds one.
"""

import argparse
import asyncio
import base64
import json
import secrets
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import WSCloseCode, WSMsgType, web

from infra.local import reloading
from infra.local.event import ACCOUNT
from infra.local.isolated import Environment, InvocationFailed
from infra.template_map import Function, live_routes
from layers.core.clock import written
from layers.core.logging import logger

MESSAGE_BYTES: Final = 128 * 1024
FRAME_BYTES: Final = 32 * 1024
LASTS_SECONDS: Final = 2 * 60 * 60
IDLE_SECONDS: Final = 10 * 60
"""API Gateway's limits."""
_UNSENT: Final = 256
"""Frames that may wait for a slow client; then it is let go."""
_STAGE: Final = "live"
_ALIVE_SECONDS: Final = 30


class Route:
    """One route and its function's environment: one event at a time, as the others wait."""

    def __init__(self, key: str, function: Function) -> None:
        self.key = key
        self._function = function
        self._environment = Environment(function.handler)
        self._thread = ThreadPoolExecutor(1)

    def warm(self) -> None:
        """Start the process, so that the first event finds it."""
        self._thread.submit(self._environment.start)

    async def invoke(self, event: Mapping[str, Any]) -> int:
        """The status that the function answers; 502 when it fails."""
        try:
            reply = await asyncio.get_running_loop().run_in_executor(
                self._thread,
                lambda: self._environment.invoke(event, timeout_seconds=self._function.timeout_seconds),
            )
        except InvocationFailed as error:
            logger().error("live function failed", function=self._function.name, reason=str(error))
            return web.HTTPBadGateway.status_code
        status: int = reply["statusCode"]
        return status

    def stop(self) -> None:
        """End the process."""
        self._thread.shutdown(cancel_futures=True)
        self._environment.kill()


class Connection:
    """One client."""

    def __init__(self, request: web.Request) -> None:
        self.id = base64.urlsafe_b64encode(secrets.token_bytes(11)).decode()
        self.socket = web.WebSocketResponse(heartbeat=_ALIVE_SECONDS, max_msg_size=MESSAGE_BYTES, receive_timeout=None)
        self.opened_at = self.active_at = time.time()
        self.unsent: asyncio.Queue[bytes] = asyncio.Queue(_UNSENT)
        self._headers = request.headers
        self.address = request.headers.get("x-forwarded-for") or request.remote or ""

    def event(self, route_key: str, kind: str, *, body: str | None = None) -> dict[str, Any]:
        """What API Gateway gives the function."""
        moment = datetime.now(UTC)
        event: dict[str, Any] = {
            "requestContext": {
                "routeKey": route_key,
                "eventType": kind,
                "extendedRequestId": secrets.token_urlsafe(9),
                "requestTime": moment.strftime("%d/%b/%Y:%H:%M:%S +0000"),
                "messageDirection": "IN",
                "stage": _STAGE,
                "connectedAt": int(self.opened_at * 1000),
                "requestTimeEpoch": int(moment.timestamp() * 1000),
                "identity": {"sourceIp": self.address, "userAgent": self._headers.get("user-agent", "")},
                "requestId": secrets.token_urlsafe(9),
                "domainName": self._headers.get("host", ""),
                "connectionId": self.id,
                "apiId": ACCOUNT,
            },
            "isBase64Encoded": False,
        }
        if kind == "CONNECT":
            event["headers"] = dict(self._headers)
            event["multiValueHeaders"] = {name: self._headers.getall(name) for name in self._headers}
        if body is not None:
            event["requestContext"]["messageId"] = secrets.token_urlsafe(9)
            event["body"] = body
        return event


class Gateway:
    """All connections, and the routes that they call."""

    def __init__(self) -> None:
        self.routes = {key: Route(key, function) for key, function in live_routes().items()}
        self.connections: dict[str, Connection] = {}

    def app(self) -> web.Application:
        """What listens."""
        app = web.Application(client_max_size=MESSAGE_BYTES)
        app.add_routes(
            [
                web.get("/live", self._connected),
                web.get("/api/health/live", self._healthy),
                web.post("/@connections/{id}", self._send),
                web.get("/@connections/{id}", self._look),
                web.delete("/@connections/{id}", self._end),
            ]
        )
        app.on_startup.append(self._warm)
        app.on_shutdown.append(self._close_all)
        return app

    async def _warm(self, _app: web.Application) -> None:
        for route in self.routes.values():
            route.warm()

    async def _close_all(self, _app: web.Application) -> None:
        for connection in list(self.connections.values()):
            await connection.socket.close(code=WSCloseCode.GOING_AWAY)
        for route in self.routes.values():
            await asyncio.to_thread(route.stop)

    async def _healthy(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "connections": len(self.connections)})

    async def _connected(self, request: web.Request) -> web.StreamResponse:
        connection = Connection(request)
        if not connection.socket.can_prepare(request).ok:
            return _problem(web.HTTPUpgradeRequired.status_code, "Connect with a WebSocket.")
        status = await self.routes["$connect"].invoke(connection.event("$connect", "CONNECT"))
        if status != web.HTTPOk.status_code:
            return _problem(status, "This connection is refused.")
        await connection.socket.prepare(request)
        self.connections[connection.id] = connection
        sender = asyncio.create_task(self._sending(connection))
        try:
            await self._receiving(connection)
        finally:
            sender.cancel()
            del self.connections[connection.id]
            await asyncio.shield(self.routes["$disconnect"].invoke(connection.event("$disconnect", "DISCONNECT")))
        return connection.socket

    async def _receiving(self, connection: Connection) -> None:
        ends_at = connection.opened_at + LASTS_SECONDS
        while (seconds := min(ends_at, connection.active_at + IDLE_SECONDS) - time.time()) > 0:
            with suppress(TimeoutError):
                received = await connection.socket.receive(timeout=seconds)
                if received.type is not WSMsgType.TEXT:
                    break
                connection.active_at = time.time()
                event = connection.event("$default", "MESSAGE", body=received.data)
                if await self.routes["$default"].invoke(event) >= web.HTTPInternalServerError.status_code:
                    given = {name: event["requestContext"][name] for name in ("connectionId", "requestId")}
                    with suppress(asyncio.QueueFull):
                        connection.unsent.put_nowait(json.dumps({"message": "Internal server error", **given}).encode())
        await connection.socket.close(code=WSCloseCode.GOING_AWAY)

    async def _sending(self, connection: Connection) -> None:
        while True:
            frame = await connection.unsent.get()
            await connection.socket.send_str(frame.decode())

    async def _send(self, request: web.Request) -> web.Response:
        connection = self.connections.get(request.match_info["id"])
        frame = await request.read()
        if connection is None or connection.socket.closed:
            return _gone()
        if len(frame) > MESSAGE_BYTES:
            return _problem(web.HTTPRequestEntityTooLarge.status_code, "PayloadTooLargeException")
        try:
            connection.unsent.put_nowait(frame)
        except asyncio.QueueFull:
            await connection.socket.close(code=WSCloseCode.TRY_AGAIN_LATER)
            return _gone()
        connection.active_at = time.time()
        return web.json_response({})

    async def _look(self, request: web.Request) -> web.Response:
        connection = self.connections.get(request.match_info["id"])
        if connection is None:
            return _gone()
        times = {"ConnectedAt": connection.opened_at, "LastActiveAt": connection.active_at}
        return web.json_response(
            {name: written(datetime.fromtimestamp(at, UTC)) for name, at in times.items()}
            | {"Identity": {"SourceIp": connection.address}}
        )

    async def _end(self, request: web.Request) -> web.Response:
        connection = self.connections.get(request.match_info["id"])
        if connection is None:
            return _gone()
        await connection.socket.close(code=WSCloseCode.GOING_AWAY)
        return web.Response(status=204)


def _gone() -> web.Response:
    return web.json_response({"message": "Gone"}, status=410, headers={"x-amzn-ErrorType": "GoneException"})


def _problem(status: int, detail: str) -> web.Response:
    document = {"type": "about:blank", "status": status, "detail": detail, "error": detail}
    return web.Response(status=status, text=json.dumps(document), content_type="application/problem+json")


async def _serve(port: int, stopping: threading.Event) -> None:
    runner = web.AppRunner(Gateway().app(), handle_signals=False, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    while not await asyncio.to_thread(stopping.wait, 1):
        pass
    await runner.cleanup()


def main() -> None:
    """Hold connections until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--reload", action="store_true")
    given = parser.parse_args()
    reloading.run(
        "infra.local.live", lambda stopping: asyncio.run(_serve(given.port, stopping)), is_reloading=given.reload
    )


if __name__ == "__main__":
    main()
