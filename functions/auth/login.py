"""POST /api/v1/auth/login: start a session with a username or e-mail address and a password."""

from typing import Annotated

import msgspec

from layers.core import metrics, passwords
from layers.core.errors import AccountBanned, UserNotFound, WrongCredentials
from layers.core.limits import LOGIN
from layers.core.models import Shape, UserSelf
from layers.core.text import remove_markup
from layers.entrypoints.endpoint import endpoint
from layers.entrypoints.response import SignedIn
from layers.postgres import sessions, users
from layers.postgres.connection import autocommit, transaction


class Login(Shape, frozen=True, kw_only=True):
    """The credentials."""

    username: str
    """The username or the e-mail address; case is ignored."""
    password: Annotated[str, msgspec.Meta(examples=["correct horse battery staple"])]


class LoggedIn(Shape, frozen=True, kw_only=True):
    """The account that is signed in."""

    user: UserSelf


@endpoint(limit=LOGIN, raises=(WrongCredentials, AccountBanned))
def handler(body: Login) -> SignedIn[LoggedIn]:
    with autocommit() as db:
        known = users.read_credentials(db, login=remove_markup(body.username).lower())
    if not passwords.matches(body.password, known.password_hash if known else None) or known is None:
        metrics.AUTH_ATTEMPTS.labels("login", "failure").inc()
        raise WrongCredentials
    if known.is_banned:
        metrics.AUTH_ATTEMPTS.labels("login", "banned").inc()
        raise AccountBanned
    try:
        with transaction() as db:
            session_id = sessions.start(db, user_id=known.user_id)
            user = users.read_self(db, user_id=known.user_id)
    except UserNotFound:  # banned or removed since the credentials were read
        raise AccountBanned from None
    metrics.AUTH_ATTEMPTS.labels("login", "success").inc()
    return SignedIn(LoggedIn(user=user), session_id)
