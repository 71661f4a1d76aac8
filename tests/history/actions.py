"""What the accounts of a run do: each action is sent until its outcome is known, and noted in the ledger."""

import random
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tests import pictures
from tests.history.client import Answer, Client
from tests.history.ledger import Account, Item, Ledger, Mark
from tests.support.http import PASSWORD

_PICTURES: Final = [pictures.jpeg(width, height) for width, height in ((320, 240), (240, 320), (200, 200), (400, 300))]
_MOST_PICTURES: Final = 3
_SHARE_READ_BACK: Final = 0.25
_RECENT: Final = 60
"""Most actions are on the newest items, as in a real feed."""

type Action = Callable[[Account], Awaitable[None]]


class Actions:
    """The actions; each takes the account that acts, which no other client uses meanwhile."""

    def __init__(self, client: Client, ledger: Ledger, chance: random.Random) -> None:
        self._client, self._ledger, self._chance = client, ledger, chance
        self.weights: dict[Action, int] = {
            self.create_post: 8,
            self.create_story: 4,
            self.like: 20,
            self.unlike: 8,
            self.save: 5,
            self.view_story: 5,
            self.comment: 14,
            self.delete_comment: 4,
            self.follow: 10,
            self.unfollow: 4,
            self.answer_request: 6,
            self.send_message: 14,
            self.mark_read: 3,
            self.delete_post: 2,
            self.delete_story: 1,
            self.sign_in_again: 2,
            self.register_another: 1,
        }

    def choose(self) -> Action:
        """One of the actions, by weight."""
        return self._chance.choices([*self.weights], [*self.weights.values()])[0]

    async def register(self, account: Account) -> bool:
        """Register an account and sign in; whether both succeeded. A private one is made so."""
        registration = {
            "username": account.username,
            "email": f"{account.username}@example.org",
            "password": PASSWORD,
        }
        answer = await self._client.send(None, "POST", "/auth/register", json=registration)
        if answer.is_success:
            account.id, account.cookie = answer.json["user"]["id"], answer.cookie
        elif not (answer.status == 409 and answer.is_repeated and await self.sign_in(account)):
            if not answer.is_unknown:
                self._ledger.report(f"registering {account.username} answered {answer.status}")
            return False
        if account.is_private:
            answer = await self._client.send(account, "PUT", "/users/me", json={"isPrivate": True}, attempts=10)
            if not answer.is_success:
                return False
        return True

    async def sign_in(self, account: Account) -> bool:
        """Start a new session; whether it succeeded."""
        body = {"username": account.username, "password": PASSWORD}
        answer = await self._client.send(None, "POST", "/auth/login", json=body)
        if answer.is_success:
            account.id, account.cookie = answer.json["user"]["id"], answer.cookie
        elif not answer.is_unknown:
            self._ledger.report(f"the login of {account.username} answered {answer.status}")
        return answer.is_success

    async def register_another(self, _account: Account) -> None:
        """A new account joins."""
        newcomer = Account(new_name())
        if await self.register(newcomer):
            self._ledger.accounts.append(newcomer)
            self._count("register", "acknowledged")
        else:
            self._count("register", "unknown")

    async def sign_in_again(self, account: Account) -> None:
        """Log out, and sign in with a new session."""
        old = account.cookie
        answer = await self._client.send(account, "POST", "/auth/logout")
        if answer.is_success:
            account.ended_cookies.append(old)
        self._note("logout", answer)
        account.cookie = ""
        await self.sign_in(account)

    async def create_post(self, account: Account) -> None:
        """A post of 1 to 3 pictures."""
        post = Item("post", account, secrets.token_hex(8), pictures=self._chance.randint(1, _MOST_PICTURES))
        files = [("media", ("p.jpg", self._chance.choice(_PICTURES), "image/jpeg")) for _ in range(post.pictures)]
        await self._create(post, "/posts", "post", files=files, data={"caption": post.token})

    async def create_story(self, account: Account) -> None:
        """A story."""
        story = Item("story", account, secrets.token_hex(8), pictures=1)
        files = [("media", ("s.jpg", self._chance.choice(_PICTURES), "image/jpeg"))]
        await self._create(story, "/stories", "story", files=files)

    async def comment(self, account: Account) -> None:
        """A comment on a post that the account may see."""
        if post := self._visible(account, "post"):
            comment = Item("comment", account, secrets.token_hex(8), place=post.id)
            answer = await self._create(
                comment, f"/posts/{post.id}/comments", "comment", json={"content": comment.token}
            )
            self._check_seen(account, post, answer, "commenting on")

    async def send_message(self, account: Account) -> None:
        """A message to another account, with the client's own id; now and then it is read back."""
        other = self._another(account)
        place = await self._conversation(account, other)
        if not place:
            return
        message = Item("message", account, secrets.token_hex(8), place=place)
        reader = self._chance.choice([account, other])
        path = f"/messages/conversations/{place}"
        body = {"content": message.token, "clientMessageId": _as_uuid(message.token)}
        answer = await self._create(message, path, "message", json=body, has_key=False)
        if answer.is_success and self._chance.random() < _SHARE_READ_BACK:
            listed = await self._client.send(reader, "GET", path)
            if listed.status == 200 and message.token not in {each["content"] for each in listed.json["messages"]}:
                self._ledger.report(f"message {message.id} is not in the next list of {reader.username}")

    async def mark_read(self, account: Account) -> None:
        """The account has read a conversation."""
        messages = [
            item
            for item in self._ledger.of_kind("message")[-_RECENT:]
            if item.id and account.id in self._members(item.place)
        ]
        if messages:
            message = self._chance.choice(messages)
            path = f"/messages/conversations/{message.place}/read"
            answer = await self._client.send(account, "POST", path, json={"lastMessageId": message.id})
            self._note("mark read", answer)
            if not answer.is_success and not answer.is_unknown:
                self._ledger.report(f"marking message {message.id} as read answered {answer.status}")

    async def like(self, account: Account) -> None:
        """A like; now and then the post is read back."""
        if post := self._visible(account, "post"):
            path = f"/posts/{post.id}"
            answer = await self._mark(("like", account.id, post.id), post, account, ("POST", f"{path}/like"))
            if answer.is_success and self._chance.random() < _SHARE_READ_BACK:
                await self._read_back(account, post)

    async def unlike(self, account: Account) -> None:
        """Take a like back."""
        liked = [
            mark for mark, fact in self._ledger.marks.items() if mark[:2] == ("like", account.id) and fact.may_be(True)
        ]
        if liked:
            mark = self._chance.choice(liked)
            post = next(item for item in self._ledger.items if item.id == mark[2])
            await self._mark(mark, post, account, ("DELETE", f"/posts/{post.id}/like"), value=False)

    async def save(self, account: Account) -> None:
        """Save a post."""
        if post := self._visible(account, "post"):
            await self._mark(("save", account.id, post.id), post, account, ("POST", f"/posts/{post.id}/save"))

    async def view_story(self, account: Account) -> None:
        """See a story of another account."""
        story = self._visible(account, "story")
        if story and story.author is not account:
            mark = ("view", account.id, story.id)
            await self._mark(mark, story, account, ("POST", f"/stories/{story.id}/view"))

    async def follow(self, account: Account) -> None:
        """Follow another account, or ask it."""
        other = self._another(account)
        async with self._ledger.pair_locks[account.id, other.id]:
            fact = self._ledger.follows[account.id, other.id]
            answer = await self._client.send(account, "POST", f"/users/{other.id}/follow")
            self._note("follow", answer)
            if answer.is_unknown:
                fact.doubt("requested" if other.is_private else "following")
            elif answer.is_success:
                status = answer.json["followStatus"]
                before = next(iter(fact.possible)) if len(fact.possible) == 1 else ""
                if before == status and not answer.json["idempotent"]:
                    self._ledger.report(f"the follow of {other.username} by {account.username} was lost")
                if before == "following" != status:
                    self._ledger.report(f"{account.username} follows {other.username} and the answer was: {status}")
                fact.acknowledge(status, is_repeated=answer.is_repeated)
            else:
                self._ledger.report(f"following {other.username} answered {answer.status}")

    async def unfollow(self, account: Account) -> None:
        """End a follow, or take a request back."""
        followed = [
            pair for pair, fact in self._ledger.follows.items() if pair[0] == account.id and fact.possible != {"none"}
        ]
        if not followed:
            return
        pair = self._chance.choice(followed)
        async with self._ledger.pair_locks[pair]:
            answer = await self._client.send(account, "DELETE", f"/users/{pair[1]}/follow")
            self._settle("unfollow", self._ledger.follows[pair], answer, "none")

    async def answer_request(self, account: Account) -> None:
        """Accept or decline a request to follow."""
        asked = [
            pair for pair, fact in self._ledger.follows.items() if pair[1] == account.id and fact.may_be("requested")
        ]
        if not asked:
            return
        pair = self._chance.choice(asked)
        path = f"/users/me/follow-requests/{pair[0]}"
        async with self._ledger.pair_locks[pair]:
            fact = self._ledger.follows[pair]
            if not fact.may_be("requested"):
                return
            if self._chance.random() < 0.7:
                answer = await self._client.send(account, "POST", f"{path}/accept")
                if answer.status == 404 and fact.is_certainly("requested"):
                    self._ledger.report(f"the request {pair} was lost")
                self._settle("accept", fact, answer, "following")
            elif fact.is_certainly("requested"):
                answer = await self._client.send(account, "DELETE", path)
                self._settle("decline", fact, answer, "none")

    async def delete_post(self, account: Account) -> None:
        """Delete an own post."""
        await self._delete("post", account, "/posts")

    async def delete_comment(self, account: Account) -> None:
        """Delete an own comment."""
        await self._delete("comment", account, "/comments")

    async def delete_story(self, account: Account) -> None:
        """Delete an own story."""
        await self._delete("story", account, "/stories")

    async def _create(self, item: Item, path: str, member: str, *, has_key: bool = True, **content: Any) -> Answer:
        """Create an item; it is in the ledger before its request is sent."""
        self._ledger.items.append(item)
        answer = await self._client.send(item.author, "POST", path, key=item.token if has_key else "", **content)
        self._note(f"create {item.kind}", answer)
        if answer.is_success:
            created = answer.json[member]
            item.id = created["messageId"] if item.kind == "message" else created["id"]
            item.exists.acknowledge(True)
            item.was_seen = item.kind in {"story", "comment", "message"}
        elif answer.is_unknown or answer.is_repeated:
            item.exists.doubt(True)
        return answer

    async def _delete(self, kind: str, account: Account, path: str) -> None:
        own = [
            item
            for item in self._ledger.of_kind(kind)
            if item.author is account and item.id and item.exists.may_be(True)
        ]
        if not own:
            return
        item = self._chance.choice(own)
        was_certain = item.exists.is_certainly(True) and not item.is_deleting
        item.is_deleting = True
        answer = await self._client.send(account, "DELETE", f"{path}/{item.id}")
        if answer.status == 404 and was_certain and not answer.is_repeated and not self._is_on_a_deleted_post(item):
            self._ledger.report(f"{kind} {item.id} of {account.username} was lost before it was deleted")
        if answer.is_unknown:
            item.exists.doubt(False)
        elif answer.is_success or answer.status == 404:
            item.exists.acknowledge(False)
        self._note(f"delete {kind}", answer)

    async def _mark(
        self, mark: Mark, item: Item, account: Account, request: tuple[str, str], *, value: bool = True
    ) -> Answer:
        fact = self._ledger.marks[mark]
        answer = await self._client.send(account, *request)
        if answer.is_success:
            item.was_seen = True
            is_known = (fact.is_certainly(True) or fact.is_certainly(False)) and not answer.is_repeated
            if is_known and answer.json["idempotent"] != fact.is_certainly(value):
                self._ledger.report(f"{request} of {account.username} was answered {answer.json}: {mark} was changed")
            fact.acknowledge(value, is_repeated=answer.is_repeated)
        elif answer.is_unknown or answer.is_repeated:
            fact.doubt(value)
        self._note(mark[0] if value else f"un{mark[0]}", answer)
        if request[0] == "POST":
            self._check_seen(account, item, answer, f"{mark[0]} of")
        return answer

    async def _read_back(self, account: Account, post: Item) -> None:
        """The next answer shows the account's own last action."""
        fact = self._ledger.marks["like", account.id, post.id]
        answer = await self._client.send(account, "GET", f"/posts/{post.id}", attempts=1)
        if answer.is_success and not fact.may_be(answer.json["post"]["isLiked"]):
            self._ledger.report(f"{account.username} likes {post.id} ({fact.possible}) and reads otherwise")

    async def _conversation(self, account: Account, other: Account) -> str:
        """The id of the conversation of two accounts; empty if it cannot be opened now."""
        pair = frozenset({account.id, other.id})
        if pair not in self._ledger.conversations:
            answer = await self._client.send(account, "POST", "/messages/conversations", json={"recipientId": other.id})
            self._note("open conversation", answer)
            if not answer.is_success:
                return ""
            opened = answer.json["conversationId"]
            if self._ledger.conversations.setdefault(pair, opened) != opened:
                self._ledger.report(f"{account.username} and {other.username} have two conversations")
        return self._ledger.conversations[pair]

    def _settle(self, name: str, fact: Any, answer: Answer, value: str) -> None:
        self._note(name, answer)
        if answer.is_success:
            fact.acknowledge(value, is_repeated=answer.is_repeated)
        elif answer.is_unknown or answer.is_repeated:
            fact.doubt(value)

    def _check_seen(self, account: Account, item: Item, answer: Answer, what: str) -> None:
        """What was visible once, and is not being deleted, is found by those who may see it."""
        if (
            answer.status == 404
            and item.was_seen
            and not item.is_deleting
            and self._ledger.certainly_sees(account, item.author)
        ):
            self._ledger.report(f"{what} {item.kind} {item.id} by {account.username} answered 404")

    def _visible(self, account: Account, kind: str) -> Item | None:
        items = [
            item
            for item in self._ledger.of_kind(kind)[-_RECENT:]
            if item.id and not item.is_deleting and self._ledger.certainly_sees(account, item.author)
        ]
        return self._chance.choice(items) if items else None

    def _another(self, account: Account) -> Account:
        return self._chance.choice([other for other in self._ledger.accounts if other is not account])

    def _members(self, conversation: str) -> frozenset[str]:
        return next(pair for pair, opened in self._ledger.conversations.items() if opened == conversation)

    def _is_on_a_deleted_post(self, item: Item) -> bool:
        return any(post.is_deleting for post in self._ledger.of_kind("post") if post.id == item.place)

    def _note(self, name: str, answer: Answer) -> None:
        self._count(name, "acknowledged" if answer.is_success else "unknown" if answer.is_unknown else "refused")

    def _count(self, name: str, outcome: str) -> None:
        self._ledger.outcomes[name, outcome] += 1


def new_name() -> str:
    """A username that no account has."""
    return f"h_{secrets.token_hex(6)}"


def _as_uuid(token: str) -> str:
    """A UUID made of a token of 16 hexadecimal digits."""
    return f"{token[:8]}-{token[8:12]}-4{token[13:16]}-8000-{token[4:16]}"
