"""Gives an account a role, at once: also to who is signed in.

python -m infra.grant --user NAME --role user|verified|admin
"""

import argparse
import sys
from typing import cast

import msgspec

from infra import stack_settings
from layers.core.errors import PhotogramError
from layers.core.models import Role, UserRef
from layers.postgres import sessions, users
from layers.postgres.connection import transaction
from layers.valkey import admission


class Granted(msgspec.Struct, frozen=True):
    """What granting came to."""

    username: str
    role: Role
    reached_valkey: bool
    """Whether sessions in Valkey have the role already; otherwise they get it when Valkey is back."""


def grant(*, username: str, role: Role) -> Granted:
    """Give an account (by name, in any case) a role; raises `UserNotFound`.

    Sessions in Valkey carry the role: they are forgotten there and read anew from PostgreSQL, so nobody is signed out.
    """
    name = UserRef.parse(username.strip())
    with transaction() as db:
        user_id = users.grant(db, username=name, role=role)
        revocation = sessions.refresh(db, user_id=user_id)
    reached = admission.revoked(revocation)
    if reached:
        sessions.forget(revocation)
    return Granted(username=name, role=role, reached_valkey=reached)


def main() -> int:
    """Do what the arguments say and tell it; 1 if it could not be done."""
    parser = argparse.ArgumentParser(prog="python -m infra.grant", description=__doc__)
    parser.add_argument("--user", required=True, metavar="NAME", help="the account's username")
    parser.add_argument("--role", required=True, choices=Role.__args__)  # type: ignore[attr-defined]
    parser.add_argument("--profile", choices=["run", "test"], default="run", help="of which stack")
    given = parser.parse_args()
    try:
        stack_settings.use(given.profile)
        granted = grant(username=given.user, role=cast("Role", given.role))
    except (PhotogramError, stack_settings.NotUp) as error:
        print(f"{given.user}: {error}", file=sys.stderr)
        return 1
    print(f"{granted.username} has the role {granted.role}.")
    if granted.reached_valkey:
        print("Whoever is signed in as this account has it from the next request on.")
    else:
        print("Valkey is away: whoever is signed in as this account has it when Valkey is back.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
