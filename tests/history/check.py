"""What must be true when all is quiet again: nothing acknowledged is lost, nothing else is there, nobody sees more."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from tests.history import rows
from tests.history.actions import Actions
from tests.history.client import Client
from tests.history.ledger import Account, Fact, Item, Ledger

_AT_ONCE: Final = 6
_PUBLISH_SECONDS: Final = 150
"""The contract promises 120 s; the rest is for the machine."""
_FEED_SECONDS: Final = 5.0
_FEED_LATE_SECONDS: Final = 1.0
_SAMPLE: Final = 150


class Check:
    """The checks; each notes what is wrong in the ledger."""

    def __init__(self, client: Client, actions: Actions, ledger: Ledger, before: rows.Before) -> None:
        self._client, self._actions, self._ledger, self._before = client, actions, ledger, before
        self._people = {account.id: account for account in ledger.accounts}
        self._own: dict[str, set[str]] = {}
        """The published posts of each account, as it reads them itself."""
        self._followed: dict[str, set[str]] = {}
        """Whom each account follows, as it reads it itself."""
        self.seconds: dict[str, float] = {}
        """How long each part of the check took."""

    async def run(self) -> None:
        """Make all checks."""
        await self._timed("logins with the passwords", self._each(self._ledger.accounts, self._sign_in))
        await self._timed("publication of all posts", self._await_publication())
        await self._check_contents("as Valkey has it")
        await asyncio.to_thread(rows.empty_valkey)
        await self._timed("new sessions", self._each(self._ledger.accounts, self._sign_in))
        await self._check_contents("without what Valkey had")
        await self._timed("what strangers see", self._check_strangers())
        await self._timed("new posts in all feeds within 5 s", self._check_new_posts())
        await self._timed("counters and rows, objects and rows, queues", self._check_stores())

    async def _check_contents(self, when: str) -> None:
        """What every account reads is what the ledger says."""
        await self._timed(f"follows and requests, {when}", self._each(self._ledger.accounts, self._check_follows))
        await self._timed(f"posts of each account, {when}", self._each(self._ledger.accounts, self._check_posts))
        await self._timed(f"feeds, {when}", self._each(self._ledger.accounts, self._check_feed))
        await self._timed(f"likes and comments, {when}", self._each(self._present("post"), self._check_post))
        await self._timed(f"saved posts, {when}", self._each(self._ledger.accounts, self._check_saved))
        await self._timed(f"stories, {when}", self._each(self._ledger.accounts, self._check_stories))
        conversations = [*self._ledger.conversations.items()]
        await self._timed(f"messages, {when}", self._each(conversations, self._check_conversation))
        await self._timed(f"lists of conversations, {when}", self._each(self._ledger.accounts, self._check_inbox))

    async def _timed(self, name: str, check: Awaitable[None]) -> None:
        began, found = time.monotonic(), len(self._ledger.violations)
        await check
        self.seconds[name] = time.monotonic() - began
        wrong = len(self._ledger.violations) - found
        print(f"checked: {name}, {self.seconds[name]:.1f} s, {wrong or 'no'} violations", flush=True)

    async def _each[Checked](self, checked: Iterable[Checked], check: Callable[[Checked], Awaitable[None]]) -> None:
        limit = asyncio.Semaphore(_AT_ONCE)

        async def limited(each: Checked) -> None:
            async with limit:
                try:
                    await check(each)
                except LookupError as error:
                    self._ledger.report(f"a check of {each} could not be made: {error}")

        await asyncio.gather(*(limited(each) for each in checked))

    async def _sign_in(self, account: Account) -> None:
        for cookie in account.ended_cookies[-3:]:
            answer = await self._client.send(None, "GET", "/auth/me", headers={"cookie": f"session_id={cookie}"})
            if answer.status != 401:
                self._ledger.report(f"an ended session of {account.username} answered {answer.status}")
        if not await self._actions.sign_in(account):
            self._ledger.report(f"{account.username} cannot sign in")

    async def _await_publication(self) -> None:
        """Wait until no post is being processed; of those that were acknowledged, none may have failed."""
        deadline = time.monotonic() + _PUBLISH_SECONDS
        while "processing" in (waiting := await asyncio.to_thread(rows.unpublished, self._people)).values():
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.2)
        for item in self._ledger.of_kind("post"):
            if item.id in waiting and item.exists.is_certainly(True):
                self._ledger.report(f"post {item.id} is {waiting[item.id]}")

    async def _check_follows(self, account: Account) -> None:
        followers = _ids(await self._client.list(account, f"/users/{account.id}/followers", "followers"))
        requests = _ids(await self._client.list(account, "/users/me/follow-requests", "requests"))
        followed = _ids(await self._client.list(account, f"/users/{account.id}/following", "following"))
        self._followed[account.id] = set(followed)
        for name, listed in (("followers", followers), ("requests", requests), ("following", followed)):
            self._refuse_repeated(f"{name} of {account.username}", listed)
        for other in self._ledger.accounts:
            status = "following" if other.id in followers else "requested" if other.id in requests else "none"
            fact = self._ledger.follows[other.id, account.id]
            if not fact.may_be(status):
                self._ledger.report(f"{other.username} to {account.username}: {status} instead of {fact.possible}")
        profile = await self._client.send(account, "GET", f"/users/{account.id}")
        counts = (profile.json["user"]["followerCount"], profile.json["user"]["followingCount"])
        if counts != (len(followers), len(followed)):
            self._ledger.report(f"{account.username} counts {counts}, and has {len(followers)}, {len(followed)}")

    async def _check_posts(self, account: Account) -> None:
        listed = _ids(await self._client.list(account, f"/users/{account.id}/posts", "posts"))
        self._refuse_repeated(f"posts of {account.username}", listed)
        own = [item for item in self._ledger.of_kind("post") if item.author is account]
        known = {item.id for item in own}
        for post_id in set(listed) - known:
            answer = await self._client.send(account, "GET", f"/posts/{post_id}")
            found = next((item for item in own if not item.id and item.token == answer.json["post"]["caption"]), None)
            if found is None:
                self._ledger.report(f"post {post_id} of {account.username} was never asked for, or made twice")
            else:
                found.id = post_id
        self._compare(f"posts of {account.username}", own, listed)
        self._own[account.id] = set(listed)
        profile = await self._client.send(account, "GET", f"/users/{account.id}")
        if profile.json["user"]["postCount"] != len(listed):
            self._ledger.report(f"{account.username} counts {profile.json['user']['postCount']} of {len(listed)} posts")

    async def _check_feed(self, account: Account) -> None:
        """The feed is exact, within 5 s."""
        wanted = self._feed_of(account)
        deadline = time.monotonic() + _FEED_SECONDS + _FEED_LATE_SECONDS
        while (shown := await self._read_feed(account)) != wanted and time.monotonic() < deadline:
            pass
        if shown != wanted:
            missing, other = sorted(wanted - shown), sorted(shown - wanted)
            self._ledger.report(f"the feed of {account.username} lacks {missing} and has besides {other}")

    async def _read_feed(self, account: Account) -> set[str]:
        listed = _ids(await self._client.list(account, "/feed", "posts"))
        self._refuse_repeated(f"feed of {account.username}", listed)
        return set(listed)

    def _feed_of(self, account: Account) -> set[str]:
        return set().union(*(self._own.get(each, set()) for each in {account.id, *self._followed[account.id]}))

    async def _check_post(self, post: Item) -> None:
        answer = await self._client.send(post.author, "GET", f"/posts/{post.id}")
        if not answer.is_success:
            if post.exists.is_certainly(True):
                self._ledger.report(f"post {post.id} answered {answer.status} to its author")
            return
        shown = answer.json["post"]
        if (shown["caption"], len(shown["media"])) != (post.token, post.pictures):
            self._ledger.report(f"post {post.id} has another caption or number of pictures")
        likes = _ids(await self._client.list(post.author, f"/posts/{post.id}/likes", "likes"))
        self._refuse_repeated(f"likes of {post.id}", likes)
        self._compare_marks("like", post, likes)
        comments = await self._client.list(post.author, f"/posts/{post.id}/comments", "comments")
        own = [item for item in self._ledger.of_kind("comment") if item.place == post.id]
        self._compare_texts(f"comments on {post.id}", own, [each["content"] for each in comments])
        if (shown["likeCount"], shown["commentCount"]) != (len(likes), len(comments)):
            self._ledger.report(f"the counters of post {post.id} differ from its lists")

    async def _check_saved(self, account: Account) -> None:
        saved = set(_ids(await self._client.list(account, "/users/me/saved", "posts")))
        for post in self._ledger.of_kind("post"):
            if post.id and not post.is_deleting:
                fact = self._ledger.marks["save", account.id, post.id]
                may_see = self._may_see(account, post.author)
                if not (fact.may_be(post.id in saved) if may_see else post.id not in saved):
                    self._ledger.report(f"saved posts of {account.username}: {post.id}, {fact.possible}")

    async def _check_stories(self, account: Account) -> None:
        answer = await self._client.send(account, "GET", "/stories/me")
        if not answer.is_success:
            raise LookupError(f"stories answered {answer.status}")
        listed = {story["id"]: story for story in answer.json["stories"]}
        own = [item for item in self._ledger.of_kind("story") if item.author is account]
        unknown = [item for item in own if not item.id and item.exists.may_be(True)]
        if len(set(listed) - {item.id for item in own}) > len(unknown):
            self._ledger.report(f"{account.username} has stories that were never asked for, or made twice")
        self._compare(f"stories of {account.username}", [item for item in own if item.id], listed)
        for story in own:
            if story.id in listed:
                viewers = _ids(await self._client.list(account, f"/stories/{story.id}/viewers", "viewers"))
                self._compare_marks("view", story, viewers)
                if listed[story.id]["viewCount"] != len(viewers):
                    self._ledger.report(f"the counter of story {story.id} differs from its list")

    async def _check_conversation(self, conversation: tuple[frozenset[str], str]) -> None:
        members, place = conversation
        path = f"/messages/conversations/{place}"
        pages = [await self._client.list(self._people[each], path, "messages") for each in members]
        texts = [[each["content"] for each in page] for page in pages]
        if texts[0] != texts[1]:
            self._ledger.report(f"the members of conversation {place} read different messages")
        own = [item for item in self._ledger.of_kind("message") if item.place == place]
        self._compare_texts(f"messages of {place}", own, texts[0])

    async def _check_inbox(self, account: Account) -> None:
        """Each conversation with messages is listed, and its unread messages are those after the read mark."""
        inbox = await self._client.list(account, "/messages/conversations", "conversations")
        entries = {entry["conversationId"]: entry for entry in inbox}
        for members, place in self._ledger.conversations.items():
            if account.id not in members:
                continue
            path = f"/messages/conversations/{place}"
            messages = await self._client.list(account, path, "messages")
            if messages and place not in entries:
                self._ledger.report(f"conversation {place} is not in the list of {account.username}")
            elif messages:
                receipts = (await self._client.send(account, "GET", f"{path}/read")).json["receipts"]
                mark = next((each["lastReadMessageId"] for each in receipts if each["userId"] == account.id), None)
                ids = [each["messageId"] for each in messages]
                later = messages[: ids.index(mark)] if mark in ids else messages
                unread = sum(each["senderId"] != account.id for each in later)
                if entries[place]["unreadCount"] != min(unread, 100):
                    self._ledger.report(
                        f"{account.username} has {unread} unread messages in {place} and reads "
                        f"{entries[place]['unreadCount']}"
                    )
                if entries[place]["lastMessagePreview"] != messages[0]["content"]:
                    self._ledger.report(f"the list of {account.username} shows an old message of {place}")

    async def _check_strangers(self) -> None:
        """Private, deleted and others' things are hidden."""
        stranger = self._ledger.strangers[0]
        if not await self._actions.sign_in(stranger):
            self._ledger.report("a stranger cannot sign in")
        posts = [item for item in self._ledger.of_kind("post") if item.id]
        private = [(stranger, post) for post in posts if post.author.is_private][-_SAMPLE:]
        deleted = [(post.author, post) for post in posts if post.exists.is_certainly(False)][-_SAMPLE:]
        for viewer, post in (*private, *((None, post) for _, post in private), *deleted):
            for path in ("", "/likes", "/comments"):
                await self._expect(viewer, f"/posts/{post.id}{path}", 404)
        for account in self._ledger.accounts:
            if account.is_private:
                await self._expect(stranger, f"/users/{account.id}/posts", 403)
                await self._expect(stranger, f"/stories/user/{account.id}", 403)
        for place in self._ledger.conversations.values():
            await self._expect(stranger, f"/messages/conversations/{place}", 404)
        explored = set(_ids(await self._client.list(stranger, "/feed/explore", "posts")))
        shown = [post.id for post in posts if post.id in explored and post.author.is_private]
        if shown:
            self._ledger.report(f"explore shows private posts: {shown}")

    async def _expect(self, viewer: Account | None, path: str, status: int) -> None:
        answer = await self._client.send(viewer, "GET", path)
        if answer.status != status:
            self._ledger.report(f"{path} answered {answer.status} to {viewer.username if viewer else 'nobody'}")

    async def _check_new_posts(self) -> None:
        """What is published now is in all feeds 5 s later."""
        for author in self._ledger.accounts[:3]:
            await self._actions.create_post(author)
            post = self._ledger.items[-1]
            await self._await_publication()
            deadline = time.monotonic() + _FEED_SECONDS + _FEED_LATE_SECONDS
            waiting = [each for each in self._ledger.accounts if author.id in {each.id, *self._followed[each.id]}]
            while waiting and time.monotonic() < deadline:
                pages = [await self._client.send(each, "GET", "/feed") for each in waiting]
                waiting = [
                    each
                    for each, page in zip(waiting, pages, strict=True)
                    if not page.is_success or post.id not in _ids(page.json["posts"])
                ]
            for each in waiting:
                self._ledger.report(f"the new post {post.id} is not in the feed of {each.username}")

    async def _check_stores(self) -> None:
        for problem in await asyncio.to_thread(rows.problems, self._people, self._before):
            self._ledger.report(problem)

    def _present(self, kind: str) -> list[Item]:
        return [item for item in self._ledger.of_kind(kind) if item.id and item.exists.may_be(True)]

    def _may_see(self, viewer: Account, owner: Account) -> bool:
        return viewer is owner or not owner.is_private or owner.id in self._followed[viewer.id]

    def _compare(self, what: str, items: Iterable[Item], listed: Iterable[str]) -> None:
        found = set(listed)
        for item in items:
            if not item.exists.may_be(bool(item.id) and item.id in found):
                self._ledger.report(f"{what}: {item.id or item.token} is {'' if item.id in found else 'not '}there")

    def _compare_texts(self, what: str, items: list[Item], texts: list[str]) -> None:
        self._refuse_repeated(what, texts)
        found = set(texts)
        for item in items:
            if not item.exists.may_be(item.token in found):
                self._ledger.report(f"{what}: {item.token} is {'' if item.token in found else 'not '}there")
        if others := found - {item.token for item in items}:
            self._ledger.report(f"{what}: {others} was never sent")

    def _compare_marks(self, kind: str, item: Item, account_ids: list[str]) -> None:
        for account in self._ledger.accounts:
            fact: Fact[bool] = self._ledger.marks[kind, account.id, item.id]
            if not fact.may_be(account.id in account_ids):
                self._ledger.report(f"{kind} of {item.id} by {account.username}: {fact.possible} expected")

    def _refuse_repeated(self, what: str, listed: list[str]) -> None:
        if repeated := [each for each, count in Counter(listed).items() if count > 1]:
            self._ledger.report(f"{what}: {repeated} more than once")


def _ids(listed: list[dict[str, Any]]) -> list[str]:
    return [each["id"] for each in listed]
