"""POST /api/v1/auth/register: a new account, signed in at once."""

import re
from typing import Annotated

import msgspec

from layers.core import limits, metrics, models, passwords
from layers.core.endpoint import endpoint
from layers.core.errors import AlreadyTaken, Invalid
from layers.core.events import ProfileUpdated
from layers.core.ids import new_id
from layers.core.models import DisplayName, Shape, UserSelf
from layers.core.response import Created, SignedIn
from layers.core.text import bounded
from layers.postgres import outbox, sessions, users
from layers.postgres.connection import transaction
from layers.rabbitmq import publishing

_EMAIL = re.compile(r"[^@\s<>\x00-\x1f]+@[^@\s.<>\x00-\x1f]+(\.[^@\s.<>\x00-\x1f]+)+")
_SHORTEST, _LONGEST = limits.PASSWORD_LENGTH


class Registration(Shape, frozen=True, kw_only=True):
    """Who wants to join."""

    username: Annotated[str, msgspec.Meta(examples=["newcomer"], extra_json_schema={"pattern": "^[A-Za-z0-9_]{3,30}$"})]
    """Kept in lower case; `me` and `search` are reserved."""
    email: Annotated[
        str,
        msgspec.Meta(
            examples=["newcomer@example.org"], extra_json_schema={"format": "email", "maxLength": limits.EMAIL_LENGTH}
        ),
    ]
    """Kept in lower case; shown to nobody else but admins."""
    password: Annotated[
        str, msgspec.Meta(min_length=_SHORTEST, max_length=_LONGEST, examples=["correct horse battery staple"])
    ]
    display_name: DisplayName | None = None
    """As shown; the username as typed where it is missing or empty."""


class Registered(Shape, frozen=True, kw_only=True):
    """The new account."""

    user: UserSelf


@endpoint(raises=(AlreadyTaken,))
def handler(body: Registration) -> SignedIn[Created[Registered]]:
    user_id, username, email = new_id(), models.username(body.username), _email(body.email)
    display_name = bounded("displayName", body.display_name, limits.DISPLAY_NAME_LENGTH) or body.username.strip()
    password_hash = passwords.hashed(body.password)
    with transaction() as db:
        user = users.create(
            db,
            user_id=user_id,
            username=username,
            email=email,
            password_hash=password_hash,
            display_name=display_name,
        )
        session_id = sessions.start(db, user_id=user_id)
        note = outbox.add(db, ProfileUpdated.of(user))
    if publishing.send(note):
        outbox.forget(note)
    metrics.AUTH_ATTEMPTS.labels("register", "success").inc()
    return SignedIn(Created(Registered(user=user)), session_id)


def _email(typed: str) -> str:
    email = typed.strip().lower()
    if len(email) > limits.EMAIL_LENGTH or not _EMAIL.fullmatch(email):
        raise Invalid.field("email", f"must be an e-mail address of at most {limits.EMAIL_LENGTH} characters")
    return email
