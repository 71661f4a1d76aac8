"""The time of a refused login: an unknown user against a known user with a wrong password.

python -m tests.bench.login_timing [--rounds 100]

A difference would show which usernames exist (OWASP's Authentication Cheat Sheet, "Authentication Responses"). Both
sides call the handler in turn, and the first one alternates. Each attempt has an address of its own, so that none is
limited.
"""

import argparse
import itertools
import logging
import secrets
import statistics
import sys
import time
from typing import Final

from functions.auth import login
from layers.core import passwords
from layers.postgres.connection import transaction
from tests.bench.aims import Aim, report
from tests.support.calls import call
from tests.support.people import Person, new_person
from tests.support.stack import load_environment

_PASSWORD: Final = "correct horse battery"

RATIO: Final = Aim(name="time, unknown user / known user", at_least=0.9, at_most=1.1)
AIMS: Final = (RATIO,)


def _register() -> Person:
    """Create an account with a password."""
    person = new_person("known")
    with transaction() as db:
        db.execute("UPDATE users SET password_hash = %s WHERE id = %s", [passwords.hash_password(_PASSWORD), person.id])
    return person


def _measure_refusal(username: str, address: str) -> float:
    """Seconds until the answer; another status than 401 ends the run."""
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
    arguments = parser.parse_args()
    load_environment()
    logging.disable()
    run, numbers = secrets.token_hex(6), itertools.count()
    usernames = {"unknown": f"nobody_{run}", "known": _register().username}
    times: dict[str, list[float]] = {side: [] for side in usernames}
    for order in [("unknown", "known"), ("known", "unknown")] * max(1, arguments.rounds // 2):
        for side in order:
            times[side].append(_measure_refusal(usernames[side], f"bench-{run}-{next(numbers)}"))
    medians = {side: statistics.median(values) for side, values in times.items()}
    print(f"unknown user:                     {medians['unknown'] * 1000:7.2f} ms")
    print(f"known user with a wrong password: {medians['known'] * 1000:7.2f} ms")
    report("login_timing", {RATIO: medians["unknown"] / medians["known"]})


if __name__ == "__main__":
    main()
