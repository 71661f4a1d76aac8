"""Changes an account's role; the change applies to its sessions at once.

python -m infra.grant --user NAME --role user|verified|admin
"""

import argparse
import sys
from typing import cast

import msgspec

from infra.stack import env_file
from layers.core.errors import PhotogramError
from layers.core.models import Role, UserRef
from layers.postgres import sessions, users
from layers.postgres.connection import transaction
from layers.services import sessions as session_service


class Granted(msgspec.Struct, frozen=True):
    """The result of a change of role."""

    username: str
    role: Role
    reached_valkey: bool
    """Whether the role applies to existing sessions now; otherwise it does when Valkey is available again."""


def grant(*, username: str, role: Role) -> Granted:
    """Change the role of an account, found by its name in any case; raises `UserNotFound`.

    Valkey's copies of its sessions contain the role. They are deleted, so that the next request reads the sessions from
    PostgreSQL again; the user stays signed in.
    """
    name = UserRef.parse(username.strip())
    with transaction() as db:
        user_id = users.grant(db, username=name, role=role)
        revocation = sessions.reload_all(db, user_id=user_id)
    reached = session_service.apply_revocation(revocation)
    return Granted(username=name, role=role, reached_valkey=reached)


def main() -> int:
    """Change the role and print the result; 1 if it was not changed."""
    parser = argparse.ArgumentParser(prog="python -m infra.grant", description=__doc__)
    parser.add_argument("--user", required=True, metavar="NAME", help="the account's username")
    parser.add_argument("--role", required=True, choices=Role.__args__)  # type: ignore[attr-defined]
    parser.add_argument("--profile", choices=["run", "test"], default="run", help="in which stack")
    arguments = parser.parse_args()
    try:
        env_file.apply(arguments.profile)
        granted = grant(username=arguments.user, role=cast("Role", arguments.role))
    except (PhotogramError, env_file.NeverStarted) as error:
        print(f"{arguments.user}: {error}", file=sys.stderr)
        return 1
    print(f"{granted.username} has the role {granted.role}.")
    if granted.reached_valkey:
        print("It applies to sessions of this account from their next request on.")
    else:
        print("Valkey is not available. Sessions of this account get the new role when Valkey is available again.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
