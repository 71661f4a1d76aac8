"""Sends the requests of a run and repeats those that may not have arrived."""

import asyncio
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, Self

import httpx
import msgspec

from tests.history.ledger import Account, Ledger

_SECONDS: Final = 20
_ATTEMPTS: Final = 4
_MAX_PAUSE: Final = 2.0
_UNKNOWN: Final = frozenset({500, 502, 503, 504})
_BUSY: Final = 409


class Answer(msgspec.Struct, frozen=True):
    """The last answer to a request that may have been sent several times."""

    status: int
    """0 if no attempt had a definite answer."""
    json: Any = None
    cookie: str = ""
    is_repeated: bool = False
    """Whether an earlier attempt may have taken effect."""

    @property
    def is_success(self) -> bool:
        """Whether it acknowledges the request."""
        return 200 <= self.status < 300

    @property
    def is_unknown(self) -> bool:
        """Whether nobody knows if the request took effect."""
        return not self.status


class Client:
    """An HTTP client for all accounts; a context manager."""

    def __init__(self, origin: str, ledger: Ledger) -> None:
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))  # each request states its account's own
        self._http = httpx.AsyncClient(base_url=f"{origin}/api/v1", timeout=_SECONDS, cookies=no_cookies)
        self._ledger = ledger

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def send(
        self,
        account: Account | None,
        method: str,
        path: str,
        *,
        key: str = "",
        attempts: int = _ATTEMPTS,
        headers: Mapping[str, str] | None = None,
        **content: Any,
    ) -> Answer:
        """The answer; sent again, after the time that the server asks for, while the outcome is unknown.

        With `key`, the request carries an Idempotency-Key, so that it may be repeated.
        """
        sent = {**(headers or {})}
        if account and account.cookie and "cookie" not in sent:
            sent["cookie"] = f"session_id={account.cookie}"
        if key:
            sent["idempotency-key"] = key
        is_repeated = False
        for attempt in range(attempts):
            answer = await self._send_once(method, path, sent, content)
            self._ledger.statuses[str(answer.status_code) if answer else "none"] += 1
            if answer is not None and answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
                self._ledger.report(f"{method} {path} answered 500: {answer.headers.get('x-trace-id')}")
            is_unknown = answer is None or answer.status_code in _UNKNOWN or bool(key and answer.status_code == _BUSY)
            if answer is not None and not is_unknown and answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                return Answer(answer.status_code, _decoded(answer), answer.cookies.get("session_id") or "", is_repeated)
            is_repeated |= is_unknown
            if attempt + 1 < attempts:
                await asyncio.sleep(_pause(answer))
        return Answer(0, is_repeated=True)

    async def list(self, account: Account | None, path: str, member: str, *, limit: int = 100) -> list[dict[str, Any]]:
        """All pages of a list. Raises `LookupError` if a page is not answered with 200."""
        rows: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            answer = await self.send(account, "GET", path, params={"limit": str(limit), **cursor})
            if answer.status != httpx.codes.OK:
                raise LookupError(f"GET {path} answered {answer.status}: {answer.json}")
            rows += answer.json[member]
            if not answer.json.get("nextCursor"):
                return rows
            cursor = {"cursor": answer.json["nextCursor"]}

    async def _send_once(
        self, method: str, path: str, headers: Mapping[str, str], content: Mapping[str, Any]
    ) -> httpx.Response | None:
        try:
            return await self._http.request(method, path, headers=headers, **content)
        except httpx.TransportError:
            return None


def _decoded(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _pause(answer: httpx.Response | None) -> float:
    """The seconds that the server asks for, bounded, so that the load goes on."""
    asked = answer.headers.get("retry-after", "") if answer is not None else ""
    return min(float(asked), _MAX_PAUSE) if asked.isdigit() else 0.5
