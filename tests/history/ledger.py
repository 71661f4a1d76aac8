"""What a run has done, as far as its clients know: acknowledged actions, and those whose outcome is unknown.

An answer of 2xx is an acknowledgement. A request without an answer, or with 5xx, may or may not have happened: both
outcomes are accepted until a later request settles them.
"""

import asyncio
import time
from collections import Counter, defaultdict
from typing import Final

import msgspec

LATE_SECONDS: Final = 20.0
"""How long an unanswered request may take effect: it may wait in a process that is stopped, and then for stores."""

type Mark = tuple[str, str, str]
"""What is marked (`like`, `save`, `view`), by whom, on what: ids."""


class Fact[Value]:
    """A value that requests set one after another."""

    def __init__(self, value: Value) -> None:
        self.possible: set[Value] = {value}
        self._unanswered: dict[Value, float] = {}

    def acknowledge(self, value: Value, *, is_repeated: bool = False) -> None:
        """Set by a request that was answered; unanswered ones, also of the same request, may still come after it."""
        now = time.monotonic()
        if is_repeated:
            self._unanswered[value] = now
        self.possible = {value, *(late for late, sent in self._unanswered.items() if now - sent < LATE_SECONDS)}

    def doubt(self, value: Value) -> None:
        """Perhaps set by a request that was not answered."""
        self.possible.add(value)
        self._unanswered[value] = time.monotonic()

    def is_certainly(self, value: Value) -> bool:
        """Whether it can only be this value."""
        return self.possible == {value}

    def may_be(self, value: Value) -> bool:
        """Whether it can be this value."""
        return value in self.possible


class Account:
    """An account of the run. One client at a time acts as it."""

    def __init__(self, username: str, *, is_private: bool = False) -> None:
        self.username = username
        self.is_private = is_private
        self.id = ""
        self.cookie = ""
        self.ended_cookies: list[str] = []
        self.in_use = asyncio.Lock()


class Item(msgspec.Struct, eq=False):
    """A post, story, comment or message: created once, perhaps deleted."""

    kind: str
    author: Account
    token: str
    """A text that only this item has: its caption or content. Stories have none."""
    place: str = ""
    """The id of the post that is commented on, or of the conversation."""
    pictures: int = 0
    id: str = ""
    """Empty while unknown."""
    exists: Fact[bool] = msgspec.field(default_factory=lambda: Fact(False))
    is_deleting: bool = False
    """Whether a request to delete it was sent."""
    was_seen: bool = False
    """Whether it was visible to its readers once; a post is invisible until it is published."""


class Ledger:
    """Everything that the clients know."""

    def __init__(self) -> None:
        self.accounts: list[Account] = []
        self.strangers: list[Account] = []
        """Accounts that follow nobody and take part in no conversation."""
        self.items: list[Item] = []
        self.marks: defaultdict[Mark, Fact[bool]] = defaultdict(lambda: Fact(False))
        self.follows: defaultdict[tuple[str, str], Fact[str]] = defaultdict(lambda: Fact("none"))
        """By follower and followed account: `none`, `requested` or `following`."""
        self.pair_locks: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        """Both accounts of a pair change its follow; one at a time."""
        self.conversations: dict[frozenset[str], str] = {}
        self.violations: list[str] = []
        self.outcomes: Counter[tuple[str, str]] = Counter()
        """How many actions of each kind were `acknowledged`, `refused` or `unknown`."""
        self.statuses: Counter[str] = Counter()
        """How many requests had each status; `none` is no answer."""
        self.looks = 0
        """How many times a spy tried to see something."""

    @property
    def actions(self) -> int:
        """The number of actions that have ended."""
        return self.outcomes.total()

    def of_kind(self, kind: str) -> list[Item]:
        """The items of a kind."""
        return [item for item in self.items if item.kind == kind]

    def certainly_sees(self, viewer: Account, owner: Account) -> bool:
        """Whether the viewer has the right to see what the owner has published."""
        return viewer is owner or not owner.is_private or self.follows[viewer.id, owner.id].is_certainly("following")

    def report(self, text: str) -> None:
        """Note something that contradicts the contract or an acknowledgement."""
        self.violations.append(text)
        print(f"VIOLATION {text}", flush=True)
