"""Answers: wrappers that set a status, and errors as problem documents (RFC 9457)."""

from http import HTTPStatus
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from layers.core import errors
from layers.core.errors import FieldError, PhotogramError

type Reply = dict[str, Any]
"""A response in the format of API Gateway: `statusCode`, `headers`, `body`, `isBase64Encoded`."""


class Created[Answer](msgspec.Struct, frozen=True):
    """201 with this answer."""

    answer: Answer


class Accepted[Answer](msgspec.Struct, frozen=True):
    """202 with this answer."""

    answer: Answer


class SignedIn[Answer](msgspec.Struct, frozen=True):
    """An answer that starts the session with this id: it sets the cookie."""

    answer: Answer
    session_id: str


class SignedOut[Answer](msgspec.Struct, frozen=True):
    """An answer that ends the session: it clears the cookie."""

    answer: Answer


class Unhealthy[Answer](msgspec.Struct, frozen=True):
    """503 with this answer."""

    answer: Answer


class Encoded[Answer](msgspec.Struct, frozen=True):
    """An answer that is encoded as JSON already."""

    answer: bytes


WRAPPERS: Final[dict[type, HTTPStatus | None]] = {
    Created: HTTPStatus.CREATED,
    Accepted: HTTPStatus.ACCEPTED,
    Unhealthy: HTTPStatus.SERVICE_UNAVAILABLE,
    SignedIn: None,
    SignedOut: None,
    Encoded: None,
}
"""The wrappers of answers, and the status that each sets. They can be nested; without any the status is 200."""


_UNEXPECTED: Final = "The server failed unexpectedly. If it happens again, please report this answer's x-trace-id."


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A problem document (RFC 9457); `error` is a text for users."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    error: str
    """The same as `detail`."""
    errors: tuple[FieldError, ...] | UnsetType = UNSET
    """The errors of single fields, headers or files."""
    queued: bool | UnsetType = UNSET
    """False when files could not be stored: the server does not try again later."""


STATUS_OF: dict[type[BaseException], HTTPStatus] = {
    errors.Invalid: HTTPStatus.BAD_REQUEST,
    errors.SignInRequired: HTTPStatus.UNAUTHORIZED,
    errors.NotAllowed: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.MethodNotAllowed: HTTPStatus.METHOD_NOT_ALLOWED,
    errors.AlreadyTaken: HTTPStatus.CONFLICT,
    errors.IdempotencyKeyInUse: HTTPStatus.CONFLICT,
    errors.IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsupportedImage: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.ImageTooLarge: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.UnreadableImage: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooMany: HTTPStatus.TOO_MANY_REQUESTS,
    errors.StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The status of an error is that of its nearest base class in this table; any other error is logged and is 500."""


def status_of(error: BaseException) -> HTTPStatus:
    """The HTTP status of an error."""
    for kind in type(error).__mro__:
        if status := STATUS_OF.get(kind):
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def describe_problem(error: BaseException) -> tuple[HTTPStatus, bytes]:
    """The status of an error, and its problem document as JSON."""
    status = status_of(error)
    known = isinstance(error, PhotogramError) and status is not HTTPStatus.INTERNAL_SERVER_ERROR
    detail = str(error) if known else _UNEXPECTED
    document = Problem(
        title=status.phrase,
        status=status.value,
        detail=detail,
        error=detail,
        errors=getattr(error, "errors", ()) or UNSET,
        queued=False if isinstance(error, errors.StoreUnavailable) and error.store == "storage" else UNSET,
    )
    return status, msgspec.json.encode(document)


def unwrap(result: Any) -> tuple[HTTPStatus, Any]:
    """The status and the answer of a handler's result, without its wrappers."""
    status = HTTPStatus.OK
    while (kind := type(result)) in WRAPPERS:
        status = WRAPPERS[kind] or status
        result = result.answer
    return status, result
