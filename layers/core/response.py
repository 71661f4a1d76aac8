"""Answers: what a handler returns, as API Gateway wants it; refusals as problem documents."""

from http import HTTPStatus
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from layers.core import errors
from layers.core.errors import FieldError, PhotogramError

type Reply = dict[str, Any]


class Created[Answer](msgspec.Struct, frozen=True):
    """201 with this answer."""

    answer: Answer


class Accepted[Answer](msgspec.Struct, frozen=True):
    """202 with this answer."""

    answer: Answer


class SignedIn[Answer](msgspec.Struct, frozen=True):
    """An answer that starts the session of this id."""

    answer: Answer
    session_id: str


class SignedOut[Answer](msgspec.Struct, frozen=True):
    """An answer that ends the session."""

    answer: Answer


class Unhealthy[Answer](msgspec.Struct, frozen=True):
    """503 with this answer."""

    answer: Answer


class Encoded[Answer](msgspec.Struct, frozen=True):
    """Such an answer that is JSON already."""

    answer: bytes


WRAPPINGS: Final[dict[type, HTTPStatus | None]] = {
    Created: HTTPStatus.CREATED,
    Accepted: HTTPStatus.ACCEPTED,
    Unhealthy: HTTPStatus.SERVICE_UNAVAILABLE,
    SignedIn: None,
    SignedOut: None,
    Encoded: None,
}
"""What may stand around an answer, one within the other too, and the status that it says; 200 where none does."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong (RFC 9457), for people in `error`."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    error: str
    """The same as `detail`."""
    errors: tuple[FieldError, ...] | UnsetType = UNSET
    """What is wrong with single fields, headers or files."""
    queued: bool | UnsetType = UNSET
    """False when files could not be stored: they are not kept for a later try."""


STATUS_OF: dict[type[BaseException], HTTPStatus] = {
    errors.Invalid: HTTPStatus.BAD_REQUEST,
    errors.SignInRequired: HTTPStatus.UNAUTHORIZED,
    errors.NotAllowed: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.AlreadyTaken: HTTPStatus.CONFLICT,
    errors.StillInWork: HTTPStatus.CONFLICT,
    errors.KeyUsedAgain: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsupportedImage: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.ImageTooLarge: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.UnreadableImage: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooMany: HTTPStatus.TOO_MANY_REQUESTS,
    errors.StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Walked along the error's base classes; what is not here is a defect of ours: 500, logged."""


def status_of(error: BaseException) -> HTTPStatus:
    """The status that says this error."""
    for kind in type(error).__mro__:
        if status := STATUS_OF.get(kind):
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def problem(error: BaseException) -> tuple[HTTPStatus, bytes]:
    """Status and problem document (RFC 9457, with the contract's `error`) of an error."""
    status = status_of(error)
    known = isinstance(error, PhotogramError) and status is not HTTPStatus.INTERNAL_SERVER_ERROR
    detail = str(error) if known else "Something went wrong on our side."
    document = Problem(
        title=status.phrase,
        status=status.value,
        detail=detail,
        error=detail,
        errors=getattr(error, "errors", ()) or UNSET,
        queued=False if isinstance(error, errors.StoreUnavailable) and error.store == "storage" else UNSET,
    )
    return status, msgspec.json.encode(document)


def unwrapped(returned: Any) -> tuple[HTTPStatus, Any]:
    """The status a handler's return says, and the answer inside."""
    status = HTTPStatus.OK
    while (kind := type(returned)) in WRAPPINGS:
        status = WRAPPINGS[kind] or status
        returned = returned.answer
    return status, returned
