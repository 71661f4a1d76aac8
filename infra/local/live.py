"""Live connections: does on this machine what API Gateway's WebSocket API does.

`GET /live` with an upgrade opens a connection: the function of `$connect` accepts or refuses it, each message goes to
`$default`, and the end of the connection to `$disconnect`. `POST`, `GET` and `DELETE /{stage}/@connections/{id}` are
the management API, with which functions send to a connection, look it up and close it. API Gateway checks the signature
of these requests; here, only functions know the stage, a secret in LIVE_ENDPOINT_URL. One asyncio process holds all
connections. Each route's function has its own environment in a child process, which holds no connection.
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api.html
"""

import asyncio
import base64
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, WSMsgType, web

from infra.environments.child_process import ChildProcessEnvironment
from infra.environments.invocation import InvocationFailed
from infra.events import recorded
from infra.events.websocket import build_event
from infra.local import reloading
from infra.local.listeners import BACKLOG
from infra.template_map import Function, live_routes
from layers.core.clock import format_time
from layers.core.logging import logger
from layers.core.settings import settings

MESSAGE_BYTES: Final = 128 * 1024
CONNECTION_SECONDS: Final = 2 * 60 * 60
IDLE_SECONDS: Final = 10 * 60
"""API Gateway's limits for a message, a connection and an idle connection."""
_MAX_UNSENT: Final = 256
"""Messages that may wait for a slow client; one more closes its connection."""
_PING_SECONDS: Final = 30
_CLOSE_SECONDS: Final = 2
"""How long all clients together have to confirm that their connections are closed, when the host ends."""


class RouteEnvironment:
    """The environment of one route's function; takes one event at a time, the others wait."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._environment = ChildProcessEnvironment.started(function.handler)
        self._thread = ThreadPoolExecutor(1)

    async def invoke(self, event: Mapping[str, Any]) -> int:
        """The HTTP status that the function returns; 502 if it fails."""
        started, name = time.perf_counter(), self._function.name
        try:
            reply = await asyncio.get_running_loop().run_in_executor(
                self._thread,
                lambda: self._environment.invoke(event, timeout_seconds=self._function.timeout_seconds),
            )
        except InvocationFailed as error:
            logger().error("live function failed", function=name, reason=str(error))
            seconds, outcome = time.perf_counter() - started, type(error).__name__
            recorded.record(name, "live", event, None, seconds=seconds, error=outcome)
            return web.HTTPBadGateway.status_code
        recorded.record(name, "live", event, reply, seconds=time.perf_counter() - started)
        status: int = reply["statusCode"]
        return status

    def stop(self) -> None:
        """End the process."""
        self._thread.shutdown(cancel_futures=True)
        self._environment.kill()


class LiveConnection:
    """One client's connection."""

    def __init__(self, request: web.Request) -> None:
        self.id = base64.urlsafe_b64encode(secrets.token_bytes(11)).decode()
        self.socket = web.WebSocketResponse(heartbeat=_PING_SECONDS, max_msg_size=MESSAGE_BYTES, receive_timeout=None)
        self.opened_at = self.active_at = time.time()
        self.unsent: asyncio.Queue[bytes] = asyncio.Queue(_MAX_UNSENT)
        self.address = request.headers.get("x-forwarded-for") or request.remote or ""
        self._headers = {name: request.headers.getall(name) for name in request.headers}

    def event(self, route_key: str, event_type: str, *, body: str | None = None) -> dict[str, Any]:
        """The event that API Gateway sends to the route's function."""
        return build_event(
            route_key=route_key,
            event_type=event_type,
            connection_id=self.id,
            connected_at=self.opened_at,
            headers=self._headers,
            peer=self.address,
            body=body,
        )


class WebSocketApi:
    """All connections, and the environments of the routes' functions."""

    def __init__(self) -> None:
        self.routes = {key: RouteEnvironment(function) for key, function in live_routes().items()}
        self.connections: dict[str, LiveConnection] = {}

    def app(self) -> web.Application:
        """The aiohttp application for clients."""
        app = web.Application()
        app.add_routes([web.get("/live", self._connect), web.get("/api/health/live", self._get_health)])
        app.on_shutdown.append(self._close_all)
        return app

    def management(self, stage: str) -> web.Application:
        """The aiohttp application for functions, below the path `stage`."""
        app = web.Application(client_max_size=MESSAGE_BYTES)
        connection = f"{stage}/@connections/{{id}}"
        app.add_routes(
            [
                web.post(connection, self._send),
                web.get(connection, self._get_connection),
                web.delete(connection, self._close),
            ]
        )
        return app

    async def _close_all(self, _app: web.Application) -> None:
        closing = [each.socket.close(code=WSCloseCode.GOING_AWAY) for each in self.connections.values()]
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await asyncio.gather(*closing)
        for route in self.routes.values():
            await asyncio.to_thread(route.stop)

    async def _get_health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "connections": len(self.connections)})

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        connection = LiveConnection(request)
        if not connection.socket.can_prepare(request).ok:
            return _problem(web.HTTPUpgradeRequired.status_code, "Connect with a WebSocket.")
        status = await self.routes["$connect"].invoke(connection.event("$connect", "CONNECT"))
        if status != web.HTTPOk.status_code:
            return _problem(status, "This connection is refused.")
        await connection.socket.prepare(request)
        self.connections[connection.id] = connection
        sender = asyncio.create_task(self._send_messages(connection))
        try:
            await self._receive_messages(connection)
        finally:
            sender.cancel()
            del self.connections[connection.id]
            await asyncio.shield(self.routes["$disconnect"].invoke(connection.event("$disconnect", "DISCONNECT")))
        return connection.socket

    async def _receive_messages(self, connection: LiveConnection) -> None:
        ends_at = connection.opened_at + CONNECTION_SECONDS
        while (seconds := min(ends_at, connection.active_at + IDLE_SECONDS) - time.time()) > 0:
            with suppress(TimeoutError):
                received = await connection.socket.receive(timeout=seconds)
                if received.type is not WSMsgType.TEXT:
                    break
                connection.active_at = time.time()
                event = connection.event("$default", "MESSAGE", body=received.data)
                if await self.routes["$default"].invoke(event) >= web.HTTPInternalServerError.status_code:
                    ids = {name: event["requestContext"][name] for name in ("connectionId", "requestId")}
                    with suppress(asyncio.QueueFull):
                        connection.unsent.put_nowait(json.dumps({"message": "Internal server error", **ids}).encode())
        await connection.socket.close(code=WSCloseCode.GOING_AWAY)

    async def _send_messages(self, connection: LiveConnection) -> None:
        while True:
            message = await connection.unsent.get()
            await connection.socket.send_str(message.decode())

    async def _send(self, request: web.Request) -> web.Response:
        connection = self.connections.get(request.match_info["id"])
        message = await request.read()
        if connection is None or connection.socket.closed:
            return _gone()
        if len(message) > MESSAGE_BYTES:
            return _problem(web.HTTPRequestEntityTooLarge.status_code, "PayloadTooLargeException")
        try:
            connection.unsent.put_nowait(message)
        except asyncio.QueueFull:
            await connection.socket.close(code=WSCloseCode.TRY_AGAIN_LATER)
            return _gone()
        connection.active_at = time.time()
        return web.json_response({})

    async def _get_connection(self, request: web.Request) -> web.Response:
        connection = self.connections.get(request.match_info["id"])
        if connection is None:
            return _gone()
        times = {"ConnectedAt": connection.opened_at, "LastActiveAt": connection.active_at}
        return web.json_response(
            {name: format_time(datetime.fromtimestamp(at, UTC)) for name, at in times.items()}
            | {"Identity": {"SourceIp": connection.address}}
        )

    async def _close(self, request: web.Request) -> web.Response:
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


async def _serve(
    listeners: Mapping[socket.socket, web.Application],
    stopping: threading.Event,
    give_sign: Callable[[], None],
) -> None:
    runners = []
    for listener, app in listeners.items():
        runners.append(web.AppRunner(app, handle_signals=False, access_log=None))
        await runners[-1].setup()
        await web.SockSite(runners[-1], listener, backlog=BACKLOG).start()
    while not await asyncio.to_thread(stopping.wait, 1):
        give_sign()
    for runner in runners:
        await runner.cleanup()
    recorded.write_now()


def serve(management: socket.socket, listener: socket.socket, give_sign: Callable[[], None]) -> None:
    """Hold connections until SIGTERM; functions reach them at `management`. `give_sign` is called every second."""
    api = WebSocketApi()
    stopping = reloading.stop_event()
    listeners = {listener: api.app(), management: api.management(urlsplit(settings().live_endpoint_url).path)}
    asyncio.run(_serve(listeners, stopping, give_sign))
