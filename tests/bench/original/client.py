"""Accounts of the load and a client that sends one request or prepares it for wrk."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Self

import aiohttp
import msgspec

from tests.bench.original.endpoints import ENDPOINTS, PREFIX

_REQUEST_SECONDS = 120
_ERROR = 300


class Account(msgspec.Struct):
    """A registered account and its session."""

    username: str
    id: str = ""
    cookie: str = ""


class Answer(msgspec.Struct, frozen=True):
    """An answer, and the milliseconds until its last byte."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    milliseconds: float

    @property
    def is_error(self) -> bool:
        """Whether the status is not 2xx."""
        return self.status >= _ERROR

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


class Client:
    """Sends requests of accounts to one side; many at once."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = headers
        self._http: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=_REQUEST_SECONDS),
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def send(
        self,
        name: str,
        account: Account | None = None,
        *,
        picture: bytes = b"",
        encoding: str = "identity",
        **values: str,
    ) -> Answer:
        """The answer to a request; a new session of the answer becomes the account's."""
        endpoint = ENDPOINTS[name]
        arguments: dict[str, Any] = {"headers": {**self._headers_of(account), "Accept-Encoding": encoding}}
        if endpoint.body:
            arguments["json"] = _fill(endpoint.body, values)
        if endpoint.file:
            form = aiohttp.FormData(_fill(endpoint.form, values))
            form.add_field(endpoint.file, picture, filename="photo.jpg", content_type="image/jpeg")
            arguments["data"] = form
        started = time.perf_counter()
        url = self._url + PREFIX + endpoint.path.format(**values)
        async with self._http.request(endpoint.method, url, **arguments) as response:
            body = await response.read()
        took = (time.perf_counter() - started) * 1000
        if account and response.cookies:
            account.cookie = "; ".join(f"{cookie.key}={cookie.value}" for cookie in response.cookies.values())
        return Answer(response.status, body, response.headers, took)

    async def create(self, name: str, account: Account, *, picture: bytes = b"", **values: str) -> tuple[str, Answer]:
        """Create something; its id, empty if the answer is an error, and the answer."""
        answer = await self.send(name, account, picture=picture, **values)
        if answer.is_error:
            return "", answer
        found = answer.json
        for member in ENDPOINTS[name].id:
            found = found[member]
        return str(found), answer

    def line(self, name: str, account: Account | None = None, **values: str) -> str:
        """A line of replay.lua's file: the request that `send` would send."""
        endpoint, headers = ENDPOINTS[name], self._headers_of(account)
        body = ""
        if endpoint.body:
            body = json.dumps(_fill(endpoint.body, values))
            headers["Content-Type"] = "application/json"
        fields = "\x1f".join(f"{key}: {value}" for key, value in headers.items())
        return "\t".join([endpoint.method, PREFIX + endpoint.path.format(**values), fields, body])

    def _headers_of(self, account: Account | None) -> dict[str, str]:
        return {**self._headers, **({"Cookie": account.cookie} if account and account.cookie else {})}


async def at_once[T](number: int, jobs: Iterable[Callable[[], Awaitable[T]]]) -> list[T]:
    """Run jobs, so many at a time; their results, in the order in which they ended."""
    waiting, results = iter(jobs), list[T]()

    async def work() -> None:
        for job in waiting:
            results.append(await job())

    await asyncio.gather(*(work() for _ in range(number)))
    return results


def _fill(template: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    return {name: text.format(**values) for name, text in template.items()}
