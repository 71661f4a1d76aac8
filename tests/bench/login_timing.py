"""How long a login is refused for: of a user that does not exist against a known one with a wrong password, the
baseline. Whoever watches the clock must not learn which names exist. Aim: 0.9 to 1.1.

python tests/bench/login_timing.py [--rounds 100]

Both sides call the handler in turn, the first of a round alternating, each attempt from an address of its own.
"""

import argparse
import itertools
import logging
import secrets
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from functions.auth import login
from layers.core import passwords
from layers.postgres.connection import transaction
from tests.support.calls import call
from tests.support.people import Person, new_person
from tests.support.stack import load_environment

PASSWORD = "correct horse battery"


def registered() -> Person:
    """Somebody who could sign in."""
    person = new_person("known")
    with transaction() as db:
        db.execute("UPDATE users SET password_hash = %s WHERE id = %s", [passwords.hashed(PASSWORD), person.id])
    return person


def refused(username: str, address: str) -> float:
    """Seconds until the answer, which must be 401."""
    started = time.perf_counter()
    reply = call(login, body={"username": username, "password": "wrong one"}, address=address)
    seconds = time.perf_counter() - started
    if reply.status != 401:
        sys.exit(f"refused with {reply.status}, not 401: {reply.body.decode()}")
    return seconds


def main() -> None:
    """Measure both sides in turn and print the ratio of their medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    given = parser.parse_args()
    load_environment()
    logging.disable()
    run, numbers = secrets.token_hex(6), itertools.count()
    names = {"unknown": f"nobody_{run}", "known": registered().username}
    found: dict[str, list[float]] = {who: [] for who in names}
    for order in [("unknown", "known"), ("known", "unknown")] * (given.rounds // 2):
        for who in order:
            found[who].append(refused(names[who], f"bench-{run}-{next(numbers)}"))
    median = {who: statistics.median(times) for who, times in found.items()}
    print(f"unknown user:                     {median['unknown'] * 1000:7.2f} ms")
    print(f"known user with a wrong password: {median['known'] * 1000:7.2f} ms")
    print(f"ratio: {median['unknown'] / median['known']:.3f} (aim: 0.9 to 1.1)")


if __name__ == "__main__":
    main()
