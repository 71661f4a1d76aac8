"""Answers: what a handler returns, as API Gateway wants it; refusals as problem documents."""

from http import HTTPStatus
from typing import Any

import msgspec

from layers.core import errors
from layers.core.errors import PhotogramError

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
    status: HTTPStatus = HTTPStatus.OK


class SignedOut[Answer](msgspec.Struct, frozen=True):
    """An answer that ends the session."""

    answer: Answer


class Unhealthy[Answer](msgspec.Struct, frozen=True):
    """503 with this answer."""

    answer: Answer


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
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "error": detail,
    }
    if fields := getattr(error, "errors", ()):
        document["errors"] = fields
    if isinstance(error, errors.StoreUnavailable) and error.store == "storage":
        document["queued"] = False
    return status, msgspec.json.encode(document)


def unwrapped(returned: object) -> tuple[HTTPStatus, Any]:
    """The status a handler's return says, and the answer inside."""
    match returned:
        case Created(answer):
            return HTTPStatus.CREATED, answer
        case Accepted(answer):
            return HTTPStatus.ACCEPTED, answer
        case Unhealthy(answer):
            return HTTPStatus.SERVICE_UNAVAILABLE, answer
        case SignedIn(answer, _, status):
            return status, answer
        case SignedOut(answer):
            return HTTPStatus.OK, answer
        case _:
            return HTTPStatus.OK, returned
