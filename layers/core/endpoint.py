"""The door for HTTP: a handler's signature is its contract.

`viewer: Viewer` = signed in, `Viewer | None` = anyone, `Verified`, `Admin` = role. A `Request` parameter gets the
request itself, a `NewId` parameter the id of what is created: such requests may carry an `Idempotency-Key`. A Struct
named `query` holds the query, one named `form` the multipart form, any other the JSON body; with both of these
optional, the body is whichever was sent. Whatever else is named stands in the path. What is returned is the answer.
What may be refused follows from the same (`Signature.refusals`), but for what the decorator's `raises` names.
"""

import functools
import inspect
import time
import types
import typing
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, overload
from uuid import UUID

import msgspec
from prometheus_client import Counter, Histogram

from layers.core import admission, cors, media_links, metrics, trace
from layers.core.admission import Admitted, Count
from layers.core.errors import (
    FieldError,
    ForeignOrigin,
    ImageTooLarge,
    Invalid,
    KeyUsedAgain,
    NotAllowed,
    NotFound,
    PhotogramError,
    SignInRequired,
    StillInWork,
    StoreUnavailable,
    TooLarge,
    TooMany,
    UnreadableImage,
    UnsupportedImage,
)
from layers.core.ids import NewId, new_id
from layers.core.limits import SESSION_SECONDS, Limit
from layers.core.logging import function_name, logger
from layers.core.models import Admin, Session, UserRef, Verified, Viewer
from layers.core.repeats import Answered, Repeat, key_of, repeats
from layers.core.request import SESSION_COOKIE, Request
from layers.core.response import Reply, SignedIn, SignedOut, problem, status_of, unwrapped
from layers.core.settings import settings

_JSON: Final = "application/json"
_PROBLEM: Final = "application/problem+json"
_ROLES: Final[dict[type[Viewer], tuple[str, ...]]] = {
    Viewer: ("user", "verified", "admin"),
    Verified: ("verified", "admin"),
    Admin: ("admin",),
}

type Handler = Callable[..., object]
type Endpoint = Callable[[Mapping[str, Any], object], Reply]
type Refusals = tuple[type[PhotogramError], ...]


class Signature(msgspec.Struct, frozen=True):
    """What a handler asks for and answers, read once from its annotations and its decorator."""

    viewer: type[Viewer] | None = None
    viewer_optional: bool = True
    takes_viewer: bool = False
    takes_request: str | None = None
    path: tuple[tuple[str, type], ...] = ()
    query: type[msgspec.Struct] | None = None
    form: type[msgspec.Struct] | None = None
    body: tuple[str, type[msgspec.Struct]] | None = None
    new_id: str | None = None
    answer: object = None
    limit: Limit | None = None
    admits: bool = True
    raises: Refusals = ()

    @classmethod
    def of(cls, handler: Handler, **decorated: Any) -> "Signature":
        """The signature of a handler function with what its decorator says."""
        hints = typing.get_type_hints(handler)
        found: dict[str, Any] = {"answer": hints.pop("return", None)}
        path: list[tuple[str, type]] = []
        for name in inspect.signature(handler).parameters:
            kind = hints[name]
            if kind is NewId:
                found["new_id"] = name
                continue
            optional = isinstance(kind, types.UnionType)
            kind = next(part for part in typing.get_args(kind) if part is not types.NoneType) if optional else kind
            if issubclass(kind, Viewer):
                found |= {"viewer": kind, "viewer_optional": optional, "takes_viewer": True}
            elif kind is Request:
                found["takes_request"] = name
            elif issubclass(kind, msgspec.Struct):
                found[name if name in ("query", "form") else "body"] = (
                    kind if name in ("query", "form") else (name, kind)
                )
            else:
                path.append((name, kind))
        return cls(path=tuple(path), **found, **decorated)

    def refusals(self, method: str) -> Refusals:
        """What a caller may be refused with; the defects and outages of ours aside."""
        sends = self.body is not None or self.form is not None
        parses = sends or self.query is not None or self.new_id is not None or UUID in dict(self.path).values()
        kinds: list[type[PhotogramError]] = [*self.raises]
        kinds += [Invalid] if parses else []
        kinds += [SignInRequired] if not self.viewer_optional else []
        kinds += [NotAllowed] if self.viewer in (Verified, Admin) else []
        kinds += [ForeignOrigin] if method in cors.UNSAFE_METHODS else []
        kinds += [NotFound] if self.path else []
        kinds += [TooLarge] if sends else []
        kinds += [UnsupportedImage, ImageTooLarge, UnreadableImage] if self.form is not None else []
        kinds += [StillInWork, KeyUsedAgain] if self.new_id is not None else []
        kinds += [TooMany, StoreUnavailable] if self.admits else []
        return tuple(kinds)


@overload
def endpoint(handler: Handler) -> Endpoint: ...
@overload
def endpoint(
    *, limit: Limit | None = None, admits: bool = True, raises: Refusals = ()
) -> Callable[[Handler], Endpoint]: ...
def endpoint(
    handler: Handler | None = None, *, limit: Limit | None = None, admits: bool = True, raises: Refusals = ()
) -> Callable[[Handler], Endpoint] | Endpoint:
    """Make a Lambda handler of a function.

    `limit` is the specific limiter; `admits=False` leaves out session and limits (health); `raises` names the errors
    that do not follow from the signature, for the documentation.
    """
    if handler is None:
        return functools.partial(_endpoint, limit=limit, admits=admits, raises=raises)
    return _endpoint(handler, limit=limit, admits=admits, raises=raises)


def _endpoint(handler: Handler, **decorated: Any) -> Endpoint:
    signature = Signature.of(handler, **decorated)
    name = function_name(handler)

    @functools.wraps(handler)
    def answer(event: Mapping[str, Any], context: object) -> Reply:  # noqa: ARG001 (Lambda's form)
        started = time.perf_counter()
        request = Request(event)
        trace.trace_id.set(request.trace_id)
        visit = _Visit(request)
        try:
            reply = visit.served(handler, signature)
        except Exception as error:  # noqa: BLE001 (the one place where errors become answers)
            reply = visit.refused(error)
        _told(name, request, visit, reply, time.perf_counter() - started)
        return reply

    answer.__dict__["signature"] = signature  # OpenAPI reads it
    return answer


class _Visit:
    """One request's way through the door, and what must be said in the answer whatever comes of it."""

    __slots__ = ("count", "headers", "request", "session")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.session: Session | None = None
        self.count: Count | None = None
        self.headers: dict[str, str] = {"cache-control": "no-store", "x-trace-id": request.trace_id}

    def served(self, handler: Handler, signature: Signature) -> Reply:
        """The handler's answer; raises what stands in the way, in the contract's order."""
        request = self.request
        origin = request.headers.get("origin")
        if origin is not None:
            self.headers |= cors.headers_for(origin)
            cors.check_origin(request.method, origin)
        if signature.admits:
            self._admitted(admission.admit(request.session_id, request.address, signature.limit), signature)
        try:
            reply = self._answer(handler, signature)
        except SignInRequired:
            raise
        except BaseException:
            self._give_place_back()
            raise
        self._give_place_back()
        return reply

    def _answer(self, handler: Handler, signature: Signature) -> Reply:
        given = self._arguments(signature)
        if signature.new_id is None:
            return self._reply(*self._encoded(handler(**given)))
        repeat = self._repeat()
        if repeat is None:
            return self._reply(*self._encoded(handler(**given, **{signature.new_id: new_id()})))
        begun = repeats().begin(repeat)
        if begun.answered:
            self.headers["idempotent-replayed"] = "true"
            return self._reply(HTTPStatus(begun.answered.status), begun.answered.body.encode())
        try:
            status, body = self._encoded(handler(**given, **{signature.new_id: begun.new_id}))
        except BaseException as error:
            may_have_begun = status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR
            repeats().refused(repeat, may_have_begun=may_have_begun)
            raise
        repeats().answered(repeat, Answered(status=status, body=body.decode()))
        return self._reply(status, body)

    def _repeat(self) -> Repeat | None:
        """What tells this request from others, if it carries a key."""
        key = key_of(self.request.headers)
        if key is None or self.session is None:
            return None
        route = f"{self.request.method} {self.request.path}"
        return Repeat(user_id=self.session.user_id, route=route, key=key, body_hash=self.request.fingerprint)

    def refused(self, error: Exception) -> Reply:
        """The problem document of an error."""
        status, body = problem(error)
        if status is HTTPStatus.INTERNAL_SERVER_ERROR:
            logger().exception("unexpected failure", trace_id=self.request.trace_id)
        if isinstance(error, TooMany | StoreUnavailable):
            self.headers["retry-after"] = str(error.retry_after)
        if isinstance(error, TooMany):
            metrics.RATE_LIMIT_HITS.labels(error.action).inc()
        return {
            "statusCode": status.value,
            "headers": {**self.headers, "content-type": _PROBLEM},
            "body": body.decode(),
            "isBase64Encoded": False,
        }

    def _admitted(self, admitted: Admitted, signature: Signature) -> None:
        self.session = admitted.session
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
                self._check_limit()
                raise SignInRequired
        else:
            self.headers["set-cookie"] = _cookie(self.session.id)
            if signature.viewer is not None and self.session.role not in _ROLES[signature.viewer]:
                raise NotAllowed
        self._check_limit()

    def _check_limit(self) -> None:
        if self.count is not None and not self.count.accepted:
            action = self.count.limit.action
            if action == "follow":
                metrics.FOLLOWS_RATE_LIMITED.inc()
            raise TooMany(action, retry_after=max(1, self.count.reset_seconds))

    def _give_place_back(self) -> None:
        count = self.count
        if count is not None and count.limit.counts_failures and count.accepted:
            admission.gate().give_back(count.limit, self.request.address, count.place)

    def _arguments(self, signature: Signature) -> dict[str, object]:
        request = self.request
        given: dict[str, object] = {name: _path_value(name, kind, request) for name, kind in signature.path}
        if signature.query is not None:
            given["query"] = _converted(dict(request.query), signature.query)
        either = signature.form is not None and signature.body is not None
        if signature.body is not None:
            name, kind = signature.body
            given[name] = None if either and request.is_multipart else _converted(request.members(), kind)
        if signature.form is not None:
            form = None if either and not request.is_multipart else request.form
            given["form"] = form and _converted({**form.texts, "files": form.files}, signature.form)
        if signature.takes_request:
            given[signature.takes_request] = request
        if signature.takes_viewer:
            given["viewer"] = self._viewer(signature)
        return given

    def _viewer(self, signature: Signature) -> Viewer | None:
        session = self.session
        if session is None:
            return None
        kind = signature.viewer or Viewer
        return kind(id=session.user_id, username=session.username, role=session.role, session_id=session.id)

    def _encoded(self, returned: object) -> tuple[HTTPStatus, bytes]:
        """Status and JSON of what a handler returned."""
        status, answer = unwrapped(returned)
        if isinstance(returned, SignedIn):
            self.headers["set-cookie"] = _cookie(returned.session_id)
        elif isinstance(returned, SignedOut):
            self.headers["set-cookie"] = _cookie("", seconds=0)
        return status, answer if isinstance(answer, bytes) else msgspec.json.encode(answer)

    def _reply(self, status: HTTPStatus, body: bytes) -> Reply:
        self.headers["content-type"] = _JSON
        return {
            "statusCode": status.value,
            "headers": self.headers,
            "body": media_links.signed(body).decode(),
            "isBase64Encoded": False,
        }


def _path_value(name: str, kind: type, request: Request) -> object:
    given = request.path_parameters[name]
    if kind is UUID:
        try:
            if len(given) != 36:  # noqa: PLR2004 (a UUID's text; UUID() takes looser forms)
                raise ValueError  # noqa: TRY301
            return UUID(given)
        except ValueError:
            raise Invalid.field(name, "must be a UUID") from None
    if kind is UserRef:
        return UserRef.parse(given)
    return given


def _converted[Kind: msgspec.Struct](members: dict[str, Any], kind: type[Kind]) -> Kind:
    try:
        return msgspec.convert(members, kind, strict=False)
    except msgspec.ValidationError as error:
        detail, _, place = str(error).partition(" - at `$")
        field = place.strip(".`") or _missing_field(detail)
        raise Invalid(f"{field}: {detail}" if field else detail, errors=(FieldError(field, detail),)) from None


def _missing_field(detail: str) -> str:
    quoted = detail.split("`")
    return quoted[1] if "missing required field" in detail and len(quoted) > 1 else ""


def _cookie(session_id: str, *, seconds: int = SESSION_SECONDS) -> str:
    secure = "; Secure" if settings().secure_cookies else ""
    return f"{SESSION_COOKIE}={session_id}; HttpOnly; SameSite=Lax; Path=/; Max-Age={seconds}{secure}"


def _told(name: str, request: Request, visit: _Visit, reply: Reply, seconds: float) -> None:
    """The one log line of a request, and its metrics."""
    counters, histograms = _meters(request.method, request.route, str(reply["statusCode"]))
    for counter in counters:
        counter.inc()
    for histogram in histograms:
        histogram.observe(seconds)
    logger().info(
        "request",
        function=name,
        request_id=request.trace_id,
        trace_id=request.trace_id,
        method=request.method,
        path=request.path,
        user_id=visit.session.user_id if visit.session else None,
        status=reply["statusCode"],
        duration_ms=round(seconds * 1000, 2),
        content_length=len(reply["body"]),
    )


@functools.lru_cache(maxsize=1024)
def _meters(method: str, route: str, status: str) -> tuple[tuple[Counter, Counter], tuple[Histogram, Histogram]]:
    """A request's counters and histograms, under both lists of names; looking up labels costs more than counting."""
    return (
        (metrics.HTTP_REQUESTS.labels(method, route, status), metrics.REQUESTS.labels(method, route, status)),
        (metrics.HTTP_SECONDS.labels(method, route, status), metrics.REQUEST_SECONDS.labels(method, route)),
    )
