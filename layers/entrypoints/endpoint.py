"""Entry point of the HTTP API: session, rate limits and idempotency around a handler.

`layers.entrypoints.signature` describes what the parameters of a handler mean.
"""

import functools
from collections.abc import Callable
from typing import overload
from uuid import UUID

from layers.core import metrics
from layers.core.errors import NotAllowed, PhotogramError, SignInRequired, TooMany
from layers.core.ids import new_id
from layers.core.limits import Limit
from layers.core.models import Viewer
from layers.core.prefetched import Prefetched
from layers.entrypoints import admission, idempotency
from layers.entrypoints.arguments import read_arguments
from layers.entrypoints.http import Endpoint, Exchange, make_handler
from layers.entrypoints.request import Request
from layers.entrypoints.response import Reply
from layers.entrypoints.signature import ROLES, Handler, Prefetch, Refusals, Signature
from layers.valkey.admission import LimitDecision


@overload
def endpoint(handler: Handler) -> Endpoint: ...
@overload
def endpoint(
    *, limit: Limit | None = None, raises: Refusals = (), prefetch: Prefetch | None = None
) -> Callable[[Handler], Endpoint]: ...
def endpoint(
    handler: Handler | None = None,
    *,
    limit: Limit | None = None,
    raises: Refusals = (),
    prefetch: Prefetch | None = None,
) -> Callable[[Handler], Endpoint] | Endpoint:
    """Make a Lambda handler from a function; use it as a decorator.

    `limit` is the specific rate limit. `raises` are the errors that do not follow from the signature, for the
    description of the API. `prefetch` gives the function's first call to Valkey, which is then made together with the
    admission; it gets the id of the viewer, and the function's arguments by name.
    """
    if handler is None:
        return functools.partial(_endpoint, limit=limit, raises=raises, prefetch=prefetch)
    return _endpoint(handler, limit=limit, raises=raises, prefetch=prefetch)


def _endpoint(handler: Handler, *, limit: Limit | None, raises: Refusals, prefetch: Prefetch | None) -> Endpoint:
    signature = Signature.of(handler, limit=limit, raises=raises, prefetch=prefetch)
    return make_handler(handler, signature, AdmittedExchange)


class AdmittedExchange(Exchange):
    """An exchange whose session and rate limits are checked before the handler is called."""

    __slots__ = ("count", "prefetched")

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.count: LimitDecision | None = None
        self.prefetched: Prefetched | None = None

    def respond(self, handler: Handler, signature: Signature) -> Reply:
        """The handler's reply; raises the error that refuses the request, in the order of docs/contract/README.md."""
        self.check_origin()
        self.admit(signature)
        try:
            reply = self._call(handler, signature)
        except SignInRequired:
            raise
        except BaseException:
            self._refund_rate_limit()
            raise
        self._refund_rate_limit()
        return reply

    def admit(self, signature: Signature) -> None:
        """Read the session and count the request; raises `SignInRequired`, `NotAllowed` or `TooMany`."""
        request = self.request
        prefetch = functools.partial(self._prefetch, signature) if signature.prefetch else None
        admitted = admission.admit(request.session_id, request.address, signature.limit, prefetch=prefetch)
        self.session, self.prefetched = admitted.session, admitted.prefetched
        self.count = count = admitted.count
        if count is not None:
            limit = count.limit
            self.headers |= {
                "ratelimit-limit": str(limit.requests),
                "ratelimit-remaining": str(max(0, count.remaining)),
                "ratelimit-reset": str(count.reset_seconds),
                "ratelimit-policy": f"{limit.requests};w={limit.seconds}",
            }
        if self.session is None:
            if not signature.viewer_optional:
                self._check_rate_limit()
                raise SignInRequired
        else:
            self.set_cookie(self.session.id)
            if signature.viewer is not None and self.session.role not in ROLES[signature.viewer]:
                raise NotAllowed
        self._check_rate_limit()

    def _prefetch(self, signature: Signature, viewer_id: UUID) -> object | None:
        """The function's first call to Valkey; None for invalid arguments, which are refused after the admission."""
        if signature.prefetch is None:
            return None
        try:
            return signature.prefetch(viewer_id, **read_arguments(self.request, signature))
        except PhotogramError:
            return None

    def _check_rate_limit(self) -> None:
        if self.count is not None and not self.count.accepted:
            action = self.count.limit.action
            if action == "follow":
                metrics.FOLLOWS_RATE_LIMITED.inc()
            raise TooMany(action, retry_after=max(1, self.count.reset_seconds))

    def _refund_rate_limit(self) -> None:
        """Un-count the request if its limit counts refused credentials only (R-L4)."""
        count = self.count
        if count is not None and count.limit.counts_failures and count.accepted:
            admission.refund(count, self.request.address)

    def _call(self, handler: Handler, signature: Signature) -> Reply:
        arguments = read_arguments(self.request, signature)
        if signature.takes_viewer:
            arguments["viewer"] = self._viewer(signature)
        if signature.prefetched:
            arguments[signature.prefetched] = self.prefetched
        if signature.new_id is None:
            return self.reply(*self.encode(handler(**arguments)))
        new_id_name = signature.new_id
        keyed = idempotency.identify(self.request, self.session)
        if keyed is None:
            return self.reply(*self.encode(handler(**arguments, **{new_id_name: new_id()})))
        result = idempotency.run_once(keyed, lambda new: self.encode(handler(**arguments, **{new_id_name: new})))
        if result.is_replayed:
            self.headers["idempotent-replayed"] = "true"
        return self.reply(result.status, result.body)

    def _viewer(self, signature: Signature) -> Viewer | None:
        session = self.session
        if session is None:
            return None
        kind = signature.viewer or Viewer
        return kind(id=session.user_id, username=session.username, role=session.role, session_id=session.id)
