"""POST /api/v1/auth/register: create an account and sign in."""

from typing import Annotated, Final

import msgspec

from layers.core import limits, metrics, models, passwords
from layers.core.errors import AlreadyTaken
from layers.core.events import ProfileUpdated
from layers.core.ids import new_id
from layers.core.models import DisplayName, Shape, UserSelf
from layers.core.text import Pattern, Text
from layers.entrypoints.endpoint import endpoint
from layers.entrypoints.response import Created, SignedIn
from layers.postgres import outbox, sessions, users
from layers.postgres.connection import transaction
from layers.services import relay

_EMAIL: Final = r"\s*[^@\s<>\x00-\x1f]+@[^@\s.<>\x00-\x1f]+(\.[^@\s.<>\x00-\x1f]+)+\s*"
_SHORTEST, _LONGEST = limits.PASSWORD_LENGTH


class Registration(Shape, frozen=True, kw_only=True):
    """The new account."""

    username: Annotated[str, msgspec.Meta(examples=["newcomer"], extra_json_schema={"pattern": "^[A-Za-z0-9_]{3,30}$"})]
    """Stored in lower case; `me` and `search` are reserved."""
    email: Annotated[
        str,
        Pattern(regex=_EMAIL, message="must be an e-mail address"),
        Text(at_most=limits.EMAIL_LENGTH),
        msgspec.Meta(examples=["newcomer@example.org"], extra_json_schema={"format": "email"}),
    ]
    """Stored in lower case. Only the account itself and admins can see it."""
    password: Annotated[
        str, msgspec.Meta(min_length=_SHORTEST, max_length=_LONGEST, examples=["correct horse battery staple"])
    ]
    """Used as it is given, without trimming."""
    display_name: DisplayName | None = None
    """The username as typed if it is missing or empty."""


class RegisteredAccount(Shape, frozen=True, kw_only=True):
    """The account that was created."""

    user: UserSelf


@endpoint(raises=(AlreadyTaken,))
def handler(body: Registration) -> SignedIn[Created[RegisteredAccount]]:
    user_id, username, email = new_id(), models.normalize_username(body.username), body.email.lower()
    display_name = body.display_name or body.username.strip()
    password_hash = passwords.hash_password(body.password)
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
        event = outbox.add(db, ProfileUpdated.of(user))
    relay.publish(event)
    metrics.AUTH_ATTEMPTS.labels("register", "success").inc()
    return SignedIn(Created(RegisteredAccount(user=user)), session_id)
