"""What a like, a comment and a follow cost, step by step, against the least that a durable write costs.

python -m tests.bench.small_writes [--rounds 25] [--writes 40]

Handlers are called in this process, as a host calls them. Each step is shown with its time and with the CPU time of
this process, of its server process in PostgreSQL, and of Valkey, which also works for others if the stack is in use.
The floor is the insertion of one row into a table without an index, in a transaction of its own, and two calls to
Valkey that do nothing: every small write needs as many. All take turns; figures are medians of the rounds.
"""

import argparse
import json
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from types import ModuleType
from typing import Any, Final, Self
from uuid import UUID

import msgspec
import psycopg
import redis

from functions.comments import create_comment
from functions.posts import like_post, unlike_post
from functions.users import follow_user, unfollow_user
from layers.core.settings import settings
from layers.postgres.connection import autocommit, transaction
from layers.valkey import connection as valkey_connection
from layers.valkey import timelines
from tests.bench.aims import Aim, report
from tests.support.calls import sample
from tests.support.feed_posts import publish_post
from tests.support.people import Person, new_person
from tests.support.stack import load_environment

_NO_LIMITS: Final = {action: [10**9, 1] for action in ("general", "like", "comment", "follow")}

PEOPLE: Final = 60
POSTS: Final = 30
_SEED: Final = 11
_CALIBRATION: Final = 2000
_FLOOR: Final = "floor"

AIMS: Final = {
    name: Aim(name=f"CPU time, {name} / one inserted row and two calls", at_most=at_most)
    for name, at_most in (("like", 3), ("unlike", 3), ("comment", 3), ("follow", 3), ("unfollow", 3))
}

CREATE_FLOOR: Final = "CREATE TEMPORARY TABLE least (number integer)"
INSERT_FLOOR: Final = "INSERT INTO least VALUES (%s)"


class Cost(msgspec.Struct):
    """Microseconds: wall clock, CPU of this process, of PostgreSQL and of Valkey."""

    wall: float = 0
    process: float = 0
    postgres: float = 0
    valkey: float = 0

    @property
    def cpu(self) -> float:
        """The CPU time of all three."""
        return self.process + self.postgres + self.valkey

    def __add__(self, other: Self) -> "Cost":
        return Cost(*(mine + theirs for mine, theirs in zip(*map(msgspec.structs.astuple, (self, other)), strict=True)))

    def __sub__(self, other: Self) -> "Cost":
        return Cost(*(mine - theirs for mine, theirs in zip(*map(msgspec.structs.astuple, (self, other)), strict=True)))

    def divide(self, number: int) -> "Cost":
        """The mean of so many."""
        return Cost(*(value / number for value in msgspec.structs.astuple(self)))


class Meter:
    """Measures writes, and their steps: the calls to the stores."""

    def __init__(self) -> None:
        with autocommit() as db:
            self._postgres = db.info.backend_pid
        with redis.Redis.from_url(settings().valkey_url) as client:
            self._valkey = int(client.info("server")["process_id"])
        self.steps: dict[str, Cost] = {}
        readings = [self._now() for _ in range(_CALIBRATION + 1)]
        self._own_cost = (readings[-1] - readings[0]).divide(_CALIBRATION)

    def measure(self, writes: Sequence[Callable[[], object]]) -> Cost:
        """The mean cost of these writes."""
        started = self._now()
        for write in writes:
            write()
        return (self._now() - started).divide(len(writes))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Add the cost of each call to a store to `steps`."""
        plain_execute, plain_run = psycopg.Cursor.execute, valkey_connection.run

        def execute(*args: Any, **kwargs: Any) -> Any:
            return self._step("PostgreSQL, a statement", lambda: plain_execute(*args, **kwargs))

        def run(*calls: valkey_connection.Call) -> list[Any]:
            names = ", ".join(each.script._parts[-1] for each in calls)
            return self._step(f"Valkey, {names}", lambda: plain_run(*calls))

        psycopg.Cursor.execute = execute  # type: ignore[method-assign]
        valkey_connection.run = run
        try:
            yield
        finally:
            psycopg.Cursor.execute = plain_execute  # type: ignore[method-assign]
            valkey_connection.run = plain_run

    def _now(self) -> Cost:
        """The clocks; differences of two are costs."""
        return Cost(
            time.perf_counter_ns() / 1000,
            time.process_time_ns() / 1000,
            _cpu_microseconds(self._postgres),
            _cpu_microseconds(self._valkey),
        )

    def _step[Result](self, name: str, work: Callable[[], Result]) -> Result:
        started = self._now()
        try:
            return work()
        finally:
            cost = self._now() - started - self._own_cost
            self.steps[name] = self.steps.get(name, Cost()) + cost


def _cpu_microseconds(process_id: int) -> float:
    """The CPU time that a process has used, from Linux's scheduler."""
    with open(f"/proc/{process_id}/schedstat") as file:  # noqa: PTH123 (it is read for each step)
        return int(file.read().split()[0]) / 1000


def main() -> None:
    """Measure all writes in turn, print the steps and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--writes", type=int, default=40, help="of each kind in a round")
    arguments = parser.parse_args()
    os.environ["RATE_LIMITS"] = json.dumps(_NO_LIMITS)
    load_environment()
    with _people() as people, _quiet_output():
        rounds = [_measure_round(people, arguments.writes) for _ in range(arguments.rounds + 1)][1:]
    totals = {}
    for name in rounds[0]:
        totals[name] = _print_steps(name, [each[name] for each in rounds])
    report("small_writes", {aim: totals[name] / totals[_FLOOR] for name, aim in AIMS.items()})


def _measure_round(people: Sequence[Person], writes: int) -> dict[str, dict[str, Cost]]:
    """The mean costs of the steps of each kind of write, by its name."""
    chance = random.Random(_SEED)
    posts = [publish_post(author) for author in people[:POSTS]]
    pairs = chance.sample([(person, post_id) for person in people for post_id in posts], 2 * writes)
    follows = chance.sample([(one, other) for one in people for other in people if one is not other], 2 * writes)
    said = {"content": "What a view"}
    kinds: dict[str, list[Callable[[], object]]] = {
        "like": [_request(like_post, person, post_id=post_id) for person, post_id in pairs],
        "unlike": [_request(unlike_post, person, post_id=post_id) for person, post_id in pairs],
        "comment": [_request(create_comment, person, body=said, post_id=post_id) for person, post_id in pairs],
        "follow": [_request(follow_user, one, user=other.id) for one, other in follows],
        "unfollow": [_request(unfollow_user, one, user=other.id) for one, other in follows],
        _FLOOR: [_write_least] * (2 * writes),
    }
    return {name: _measure_kind(requests[:writes], requests[writes:]) for name, requests in kinds.items()}


def _measure_kind(requests: Sequence[Callable[[], object]], watched: Sequence[Callable[[], object]]) -> dict[str, Cost]:
    """The mean cost of each step, measured with the second requests; of the first only the whole is measured."""
    meter = Meter()
    rest = meter.measure(requests)
    with meter.watching():
        for request in watched:
            request()
    steps = {step: cost.divide(len(watched)) for step, cost in meter.steps.items()}
    for cost in steps.values():
        rest -= cost
    return steps | {"the rest: event, arguments, answer, metrics, log line": rest}


def _request(module: ModuleType, person: Person, *, body: object = None, **path: UUID) -> Callable[[], object]:
    event = sample(module) | {
        "pathParameters": {name: str(value) for name, value in path.items()},
        "headers": {"Cookie": f"session_id={person.session_id}", "Content-Type": "application/json"},
        "multiValueHeaders": None,
        "body": json.dumps(body) if body else None,
    }

    def send() -> None:
        reply = module.handler(event, None)
        assert reply["statusCode"] in (HTTPStatus.OK, HTTPStatus.CREATED), reply
        assert '"idempotent":true' not in reply["body"], reply

    return send


def _write_least() -> None:
    with autocommit() as db:
        db.execute(INSERT_FLOOR, [1])
    for _ in range(2):
        timelines.push([], UUID(int=0))


def _print_steps(name: str, rounds: Sequence[Mapping[str, Cost]]) -> float:
    """Print the medians of the rounds; the CPU time of all steps."""
    print(f"\n{name:<56}{'wall us':>9}{'process':>9}{'PostgreSQL':>12}{'Valkey':>8}")
    total = Cost()
    for step in rounds[0]:
        columns = zip(*(msgspec.structs.astuple(each[step]) for each in rounds), strict=True)
        cost = Cost(*map(statistics.median, columns))
        _print_cost(f"  {step}", cost)
        total += cost
    _print_cost("  all", total)
    return total.cpu


def _print_cost(name: str, cost: Cost) -> None:
    print(f"{name:<56}{cost.wall:>9.0f}{cost.process:>9.0f}{cost.postgres:>12.0f}{cost.valkey:>8.0f}")


@contextmanager
def _people() -> Iterator[Sequence[Person]]:
    """Accounts with sessions that Valkey knows, and the table of the floor; all rows are removed in the end."""
    people = [new_person("writer") for _ in range(PEOPLE)]
    try:
        with transaction() as db:
            db.execute(CREATE_FLOOR)
        yield people
    finally:
        with transaction() as db:
            db.execute("DELETE FROM users WHERE id = ANY(%s)", [[person.id for person in people]])


@contextmanager
def _quiet_output() -> Iterator[None]:
    """Write the log lines of requests to nowhere."""
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


if __name__ == "__main__":
    main()
