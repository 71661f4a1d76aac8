"""Looks during a run at what must not be visible: every look that succeeds is a violation."""

import random
from collections.abc import Awaitable, Callable
from typing import Final

from tests.history.client import Client
from tests.history.ledger import Account, Item, Ledger

_HIDDEN: Final = frozenset({401, 403, 404})
_RECENT: Final = 100


class Spies:
    """The looks; an outage may answer 503, which shows nothing."""

    def __init__(self, client: Client, ledger: Ledger, chance: random.Random) -> None:
        self._client, self._ledger, self._chance = client, ledger, chance
        self._looks: list[Callable[[], Awaitable[None]]] = [
            self._at_a_private_post,
            self._at_a_deleted_item,
            self._with_an_ended_session,
            self._at_a_conversation,
            self._at_the_lists_of_a_private_account,
            self._at_a_feed,
            self._without_following,
        ]

    async def look(self) -> None:
        """One look of a kind chosen by chance, if there is anything to look at."""
        self._ledger.looks += 1
        await self._chance.choice(self._looks)()

    async def _at_a_private_post(self) -> None:
        if item := self._any([each for each in self._items("post", "story") if each.author.is_private]):
            await self._expect_hidden(self._stranger(), _path(item), f"private {item.kind}")

    async def _at_a_deleted_item(self) -> None:
        """What was deleted is hidden from everybody, its author too."""
        gone = [item for item in self._items("post", "story") if item.exists.is_certainly(False)]
        if item := self._any(gone):
            await self._expect_hidden(self._chance.choice([item.author, None]), _path(item), f"deleted {item.kind}")

    async def _with_an_ended_session(self) -> None:
        if account := self._chance.choice([each for each in self._ledger.accounts if each.ended_cookies] or [None]):
            cookie = self._chance.choice(account.ended_cookies)
            headers = {"cookie": f"session_id={cookie}"}
            answer = await self._client.send(None, "GET", "/auth/me", headers=headers, attempts=1)
            if answer.is_success:
                self._ledger.report(f"an ended session of {account.username} is accepted")

    async def _at_a_conversation(self) -> None:
        if self._ledger.conversations:
            members, place = self._chance.choice([*self._ledger.conversations.items()])
            others = [each for each in self._ledger.accounts if each.id not in members]
            spy = self._chance.choice([*self._ledger.strangers, *others])
            await self._expect_hidden(spy, f"/messages/conversations/{place}", "conversation")

    async def _at_the_lists_of_a_private_account(self) -> None:
        if account := self._chance.choice([each for each in self._ledger.accounts if each.is_private] or [None]):
            path = self._chance.choice(["posts", "followers", "following"])
            await self._expect_hidden(self._stranger(), f"/users/{account.id}/{path}", "list of a private account")

    async def _at_a_feed(self) -> None:
        """A feed holds posts of the account and of those that it follows, and none that was deleted before."""
        account = self._chance.choice(self._ledger.accounts)
        if account.in_use.locked() or not account.cookie:
            return
        async with account.in_use:
            gone = {item.id for item in self._ledger.of_kind("post") if item.exists.is_certainly(False)}
            before = self._may_be_followed(account)
            answer = await self._client.send(account, "GET", "/feed", attempts=1)
            allowed = before | self._may_be_followed(account) | {account.id}
        for post in answer.json["posts"] if answer.is_success else []:
            if post["userId"] not in allowed:
                self._ledger.report(f"the feed of {account.username} shows {post['id']} of {post['username']}")
            if post["id"] in gone:
                self._ledger.report(f"the feed of {account.username} shows the deleted post {post['id']}")

    async def _without_following(self) -> None:
        """A private account's post, by an account that does not follow it, or no longer, or only has asked."""
        item = self._any([each for each in self._items("post") if each.author.is_private])
        account = self._chance.choice(self._ledger.accounts)
        if item and account is not item.author and account.cookie:
            pair = (account.id, item.author.id)
            async with self._ledger.pair_locks[pair]:
                if not self._ledger.follows[pair].may_be("following"):
                    await self._expect_hidden(account, _path(item), "post without a follow")

    async def _expect_hidden(self, viewer: Account | None, path: str, what: str) -> None:
        answer = await self._client.send(viewer, "GET", path, attempts=1)
        if not answer.is_unknown and answer.status not in _HIDDEN:
            self._ledger.report(f"{what} {path} answered {answer.status} to {viewer.username if viewer else 'nobody'}")

    def _may_be_followed(self, account: Account) -> set[str]:
        return {
            pair[1] for pair, fact in self._ledger.follows.items() if pair[0] == account.id and fact.may_be("following")
        }

    def _items(self, *kinds: str) -> list[Item]:
        return [item for item in self._ledger.items if item.kind in kinds and item.id][-_RECENT:]

    def _any(self, items: list[Item]) -> Item | None:
        return self._chance.choice(items) if items else None

    def _stranger(self) -> Account | None:
        return self._chance.choice([None, *self._ledger.strangers])


def _path(item: Item) -> str:
    return f"/{'posts' if item.kind == 'post' else 'stories'}/{item.id}"
