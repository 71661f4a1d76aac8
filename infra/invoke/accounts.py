"""Sessions of accounts for an invocation, and the requests that prepare it."""

import base64
from collections.abc import Collection, Mapping
from typing import Any, Final, Self
from urllib.parse import urlencode

import httpx

from infra.invoke.names import UsageError
from layers.core.errors import PhotogramError, UserNotFound
from layers.core.limits import OF_ACCOUNTS
from layers.core.models import UserRef
from layers.core.settings import settings
from layers.entrypoints.request import SESSION_COOKIE
from layers.postgres import sessions, users
from layers.postgres.connection import transaction
from layers.services import sessions as session_service
from layers.valkey import admission

_REQUEST_SECONDS: Final = 30


class NotPrepared(Exception):
    """What the invocation needs could not be made; the message has the request and its answer."""


class Accounts:
    """Accounts by username or id, signed in without a password; their sessions end with the context.

    What was counted for them under rate limits is forgotten, since a person who works on a function sends more requests
    in an hour than they allow.
    """

    def __init__(self) -> None:
        self._sessions: dict[str, str] = {}
        self._opened: httpx.Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._opened:
            self._opened.close()
        for session_id in self._sessions.values():
            session_service.end(session_id)

    @property
    def _http(self) -> httpx.Client:
        """A client of the running API, created at first use: that takes longer than most invocations."""
        if self._opened is None:
            self._opened = httpx.Client(base_url=settings().own_origins.split(",")[0], timeout=_REQUEST_SECONDS)
        return self._opened

    def sign_in(self, account: str) -> str:
        """The id of a session of this account; raises `UsageError` for an unknown one."""
        if account not in self._sessions:
            try:
                with transaction() as db:
                    user_id = users.read_profile(db, ref=UserRef.parse(account), viewer=None).id
                    self._sessions[account] = sessions.start(db, user_id=user_id)
            except UserNotFound:
                raise UsageError(
                    f"There is no account {account}. The demo's accounts are made with: make demo"
                ) from None
            admission.forget_counts(user_id, (limit.action for limit in OF_ACCOUNTS))
        return self._sessions[account]

    def keep(self, account: str) -> None:
        """Let this account's session live on after the context."""
        self._sessions.pop(account, None)

    def get(self, path: str, *, by: str | None = None) -> Any:
        """The answer to a GET request of an account."""
        return self.request("GET", path, by=by)

    def request(
        self,
        method: str,
        path: str,
        *,
        by: str | None = None,
        accepts: Collection[int] = (),
        headers: Mapping[str, str] | None = None,
        **content: Any,
    ) -> Any:
        """The answer to a request of an account to the running API, below /api/v1; None for a status in `accepts`.

        Raises `NotPrepared` for any other refusal.
        """
        signed_in = {"cookie": f"{SESSION_COOKIE}={self.sign_in(by)}"} if by else {}
        try:
            response = self._http.request(method, f"/api/v1{path}", headers={**(headers or {}), **signed_in}, **content)
        except httpx.TransportError as error:
            raise NotPrepared(f"The API does not answer ({error}). Check it with: make status") from None
        if response.status_code in accepts:
            return None
        if response.is_error:
            raise NotPrepared(f"{method} {path} answered {response.status_code}: {response.text[:500]}")
        return response.json()

    def send(self, event: Mapping[str, Any], *, by: str) -> Any:
        """The answer to the request of an event, sent by an account."""
        body = event.get("body") or ""
        query = event.get("multiValueQueryStringParameters")
        return self.request(
            event["httpMethod"],
            event["path"].removeprefix("/api/v1") + (f"?{urlencode(query, doseq=True)}" if query else ""),
            by=by,
            headers={"content-type": event["headers"]["content-type"]},
            content=base64.b64decode(body) if event.get("isBase64Encoded") else body.encode(),
        )


ERRORS: Final = (NotPrepared, UsageError, PhotogramError)
"""Why an invocation cannot be prepared; the messages are for the user."""
