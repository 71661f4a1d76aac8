"""The data of the load: accounts that follow each other, photos, likes, comments and conversations."""

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from tests.bench.original.client import Account, Answer, Client, at_once
from tests.bench.original.pictures import Kind, read_pictures, with_comment

_WORDS: Final = (
    *("sun", "sea", "light", "street", "morning", "coffee", "rain", "hills", "winter", "road"),
    *("city", "garden", "river", "quiet", "blue", "gold", "friends", "walk"),
)
_AT_ONCE: Final = 8
_HASHES_AT_ONCE: Final = 4
_PUBLISHED_SECONDS: Final = 300
_SEED: Final = 7


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much data there are, and how long the load runs."""

    accounts: int
    follows: int
    """By each account."""
    likes: int
    comments: int
    photos: int
    """Before the load."""
    alone: int
    """Photos of 1 megapixel that are published one after the other."""
    small_burst: int
    """Photos of 1 megapixel that are sent eight at a time."""
    large_burst: int
    """Photos of 12 megapixels, the same way."""
    seconds: int
    """Of each run of wrk."""
    cold_runs: int


FULL: Final = Size(
    accounts=200,
    follows=50,
    likes=20,
    comments=5,
    photos=200,
    alone=30,
    small_burst=130,
    large_burst=30,
    seconds=5,
    cold_runs=5,
)
QUICK: Final = Size(
    accounts=80,
    follows=25,
    likes=20,
    comments=5,
    photos=60,
    alone=5,
    small_burst=30,
    large_burst=8,
    seconds=3,
    cold_runs=3,
)


class Post(msgspec.Struct):
    """A post, and its author's position in the accounts."""

    id: str
    author: int


class Data(msgspec.Struct):
    """What was created on one side."""

    accounts: list[Account] = []
    posts: list[Post] = []
    conversations: list[tuple[int, int, str]] = []
    """The positions of the two participants, and the conversation's id."""
    follows: list[tuple[int, int]] = []
    rounds_opened: int = 0
    """Rounds of conversations that were opened."""


def write(file: Path, data: Data) -> None:
    """Keep the data for a later run."""
    file.write_bytes(msgspec.json.encode(data))


def read(file: Path) -> Data:
    """The data of an earlier run; empty without one."""
    return msgspec.json.decode(file.read_bytes(), type=Data) if file.exists() else Data()


def text(chance: random.Random, words: int) -> str:
    """So many random words."""
    return " ".join(chance.choices(_WORDS, k=words))


class Uploads:
    """Creates posts of one picture each and waits until they are published."""

    def __init__(self, client: Client, data: Data) -> None:
        self._client = client
        self._data = data
        self._chance = random.Random(time.time_ns())
        self.errors = 0

    async def create(self, kind: Kind, number: int) -> tuple[Post | None, Answer]:
        """A post by the account at this position, counted round; None if it was refused."""
        author = number % len(self._data.accounts)
        pictures = read_pictures(kind)
        picture = with_comment(pictures[number % len(pictures)], f"{number} {time.time_ns()}")
        caption = f"{text(self._chance, 6)} #{text(self._chance, 1)}"
        found, answer = await self._client.create(
            "create_post", self._data.accounts[author], picture=picture, text=caption
        )
        self.errors += answer.is_error
        if not found:
            return None, answer
        post = Post(found, author)
        self._data.posts.append(post)
        return post, answer

    async def wait_until_published(self, post: Post, pause: float) -> bool:
        """Ask until the author's profile shows the post with a picture; whether it did within 300 s."""
        author = self._data.accounts[post.author]
        ends_at = time.monotonic() + _PUBLISHED_SECONDS
        while time.monotonic() < ends_at:
            answer = await self._client.send("posts_of", author, username=author.username)
            if any(row["id"] == post.id and row["thumbnail"] for row in answer.json["posts"]):
                return True
            await asyncio.sleep(pause)
        self.errors += 1
        return False


async def seed(client: Client, data: Data, size: Size) -> int:
    """Create accounts, follows, photos, likes and comments; the number of refused requests."""
    chance = random.Random(_SEED)
    errors = await _register(client, data, size.accounts)
    errors += await _follow(client, data, size.follows, chance)
    errors += await _publish(client, data, size)
    likes = [
        partial(client.send, "like", account, post_id=post.id)
        for account in data.accounts
        for post in chance.sample(data.posts, min(size.likes, len(data.posts)))
    ]
    comments = [
        partial(client.send, "comment", account, post_id=post.id, text=text(chance, 8))
        for account in data.accounts
        for post in chance.choices(data.posts, k=size.comments)
    ]
    return errors + await count_errors(likes) + await count_errors(comments)


async def sign_in(client: Client, data: Data) -> int:
    """Renew the sessions if the first account's has ended; the number of refused logins."""
    if not (await client.send("feed", data.accounts[0])).is_error:
        return 0
    logins = [partial(client.send, "login", account, username=account.username) for account in data.accounts]
    return await count_errors(logins, number=_HASHES_AT_ONCE)


async def count_errors(jobs: Iterable[Callable[[], Awaitable[Answer]]], *, number: int = _AT_ONCE) -> int:
    """Send requests, so many at a time; how many were refused."""
    return sum(answer.is_error for answer in await at_once(number, jobs))


async def _register(client: Client, data: Data, number: int) -> int:
    async def register(account: Account) -> bool:
        account.id, answer = await client.create("register", account, username=account.username)
        return answer.is_error

    prefix = f"u{secrets.token_hex(4)}_"
    created = [Account(f"{prefix}{position:04d}") for position in range(number)]
    errors = sum(await at_once(_HASHES_AT_ONCE, [partial(register, account) for account in created]))
    data.accounts = [account for account in created if account.id]
    return errors


async def _follow(client: Client, data: Data, number: int, chance: random.Random) -> int:
    positions = range(len(data.accounts))
    data.follows = [
        (follower, followed)
        for follower in positions
        for followed in chance.sample([each for each in positions if each != follower], number)
    ]
    chance.shuffle(data.follows)
    return await count_errors(
        partial(client.send, "follow", data.accounts[follower], user_id=data.accounts[followed].id)
        for follower, followed in data.follows
    )


async def _publish(client: Client, data: Data, size: Size) -> int:
    uploads = Uploads(client, data)
    photos = [partial(uploads.create, "1mp", number) for number in range(size.photos)]
    await at_once(_AT_ONCE, photos)
    for post in list(data.posts):
        await uploads.wait_until_published(post, 0.05)
    return uploads.errors
