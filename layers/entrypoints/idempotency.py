"""Requests with an `Idempotency-Key`: repeated within 24 h they get the first answer (R-K1 to R-K4)."""

import contextlib
from collections.abc import Callable
from http import HTTPStatus
from typing import Final
from uuid import UUID

import msgspec

from layers.core.errors import Invalid, StoreUnavailable
from layers.core.models import Session
from layers.entrypoints.request import Request
from layers.entrypoints.response import status_of
from layers.postgres import idempotency_keys
from layers.postgres.connection import autocommit
from layers.postgres.idempotency_keys import KeyedRequest, KeyReservation, StoredAnswer

HEADER: Final = "idempotency-key"
LENGTH: Final = 128

type Operation = Callable[[UUID], tuple[HTTPStatus, bytes]]


class Result(msgspec.Struct, frozen=True):
    """The answer to a request with a key."""

    status: HTTPStatus
    body: bytes
    is_replayed: bool
    """Whether it is the answer of an earlier request."""


def identify(request: Request, session: Session | None) -> KeyedRequest | None:
    """The identity of a signed-in caller's request with a key; None without a key or a session.

    Raises `Invalid` for a key that is empty, too long or not visible ASCII.
    """
    key = request.headers.get(HEADER)
    if key is not None and not (0 < len(key) <= LENGTH and key.isascii() and key.isprintable() and " " not in key):
        raise Invalid.field("Idempotency-Key", f"must be 1 to {LENGTH} visible ASCII characters")
    if key is None or session is None:
        return None
    return KeyedRequest(
        user_id=session.user_id, route=f"{request.method} {request.path}", key=key, body_hash=request.body_hash
    )


def run_once(keyed: KeyedRequest, operation: Operation) -> Result:
    """Run an operation with the id of what it creates, unless the request has an answer already.

    Raises what `operation` raises, `IdempotencyKeyInUse` while the first request is being processed, and
    `IdempotencyKeyReused` for another body with the same key.
    """
    reservation = _reserve(keyed)
    if reservation.answer:
        return Result(HTTPStatus(reservation.answer.status), reservation.answer.body.encode(), is_replayed=True)
    try:
        status, body = operation(reservation.new_id)
    except BaseException as error:
        may_have_created = status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR
        with contextlib.suppress(StoreUnavailable), autocommit() as db:
            idempotency_keys.release(db, request=keyed, may_have_created=may_have_created)
        raise
    # If the answer cannot be stored, a repeated request gets the same id, so it creates nothing a second time.
    with contextlib.suppress(StoreUnavailable), autocommit() as db:
        idempotency_keys.save_answer(db, request=keyed, answer=StoredAnswer(status=status, body=body.decode()))
    return Result(status, body, is_replayed=False)


def _reserve(keyed: KeyedRequest) -> KeyReservation:
    with autocommit() as db:
        return idempotency_keys.reserve(db, request=keyed)
