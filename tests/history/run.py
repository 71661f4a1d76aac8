"""A run: accounts act while faults come and go, spies look, and at the end everything is checked."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec

from tests.history import faults, rows
from tests.history.actions import Actions, new_name
from tests.history.check import Check
from tests.history.client import Client
from tests.history.faults import Fault
from tests.history.ledger import Account, Ledger
from tests.history.spies import Spies

_CLIENTS: Final = 8
_STRANGERS: Final = 2
_PAUSE: Final = (0.1, 0.6)
"""Seconds between faults, when every part answers again."""
_MAX_IDLE_SECONDS: Final = 0.4
_LOOK_SECONDS: Final = 0.3


class Report(msgspec.Struct):
    """What a run did and found."""

    seed: int
    ledger: Ledger
    faults: Counter[tuple[str, str]]
    seconds: dict[str, float]
    """How long each phase took."""


class Run:
    """One run; the order of faults and the choice of actions follow from the seed."""

    def __init__(self, seed: int, *, fault_count: int, action_count: int, origin: str) -> None:
        self._seed, self._fault_count, self._action_count, self._origin = seed, fault_count, action_count, origin
        self._chance = random.Random(seed)
        self._ledger = Ledger()
        self._faults: Counter[tuple[str, str]] = Counter()
        self._has_ended = asyncio.Event()

    async def run(self, order: Iterator[tuple[Fault, float]], accounts: int) -> Report:
        """Make the run and all checks. Raises `AssertionError` if a part does not come back after a fault."""
        before = await asyncio.to_thread(rows.look)
        seconds: dict[str, float] = {}
        began = time.monotonic()
        async with Client(self._origin, self._ledger) as client:
            actions = Actions(client, self._ledger, self._chance)
            await self._register(actions, accounts)
            began = _lap(seconds, "registration", began)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._break(order))
                group.create_task(self._spy(Spies(client, self._ledger, random.Random(self._seed))))
                for _ in range(_CLIENTS):
                    group.create_task(self._act(actions))
            began = _lap(seconds, "load and faults", began)
            check = Check(client, actions, self._ledger, before)
            await check.run()
            _lap(seconds, "check", began)
        return Report(self._seed, self._ledger, self._faults, seconds)

    async def _register(self, actions: Actions, accounts: int) -> None:
        everybody = [Account(new_name(), is_private=number % 3 == 2) for number in range(accounts)]
        strangers = [Account(new_name()) for _ in range(_STRANGERS)]
        if not all(await asyncio.gather(*(actions.register(each) for each in (*everybody, *strangers)))):
            raise AssertionError("the accounts of the run could not be registered")
        self._ledger.accounts, self._ledger.strangers = everybody, strangers

    async def _break(self, order: Iterator[tuple[Fault, float]]) -> None:
        """Begin faults, one after the other, and end the load after the last one."""
        try:
            for number in range(1, self._fault_count + 1):
                fault, lasting = next(order)
                print(
                    f"fault {number}/{self._fault_count}: {fault.name}, {lasting:.1f} s; "
                    f"{self._ledger.actions} actions, {len(self._ledger.violations)} violations",
                    flush=True,
                )
                await asyncio.to_thread(_make, fault, lasting)
                self._faults[fault.kind, fault.part] += 1
                await asyncio.sleep(self._chance.uniform(*_PAUSE))
            while self._ledger.actions < self._action_count:  # noqa: ASYNC110 (the number rises in many places)
                await asyncio.sleep(0.1)
        finally:
            self._has_ended.set()

    async def _act(self, actions: Actions) -> None:
        """Let one account after the other act, with a short time between."""
        while not self._has_ended.is_set():
            account = self._chance.choice(self._ledger.accounts)
            if not account.in_use.locked():
                async with account.in_use:
                    if account.cookie or await actions.sign_in(account):
                        await actions.choose()(account)
            await asyncio.sleep(self._chance.uniform(0, _MAX_IDLE_SECONDS))

    async def _spy(self, spies: Spies) -> None:
        while not self._has_ended.is_set():
            await spies.look()
            await asyncio.sleep(_LOOK_SECONDS)


def _make(fault: Fault, seconds: float) -> None:
    """The fault for so many seconds; returns when every part answers again."""
    with fault.begin():
        time.sleep(seconds)
    faults.wait_for_all()


def _lap(seconds: dict[str, float], name: str, began: float) -> float:
    now = time.monotonic()
    seconds[name] = now - began
    return now
