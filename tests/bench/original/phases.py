"""The phases of the load: each measures one kind of work on one side, and returns its figures by name."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from tests.bench.original.client import Account, Answer, Client, at_once
from tests.bench.original.data import Data, Post, Size, Uploads, count_errors, text
from tests.bench.original.machine import CpuMeter, proportional_megabytes, wait_until_quiet
from tests.bench.original.pictures import Kind, read_pictures, with_comment
from tests.bench.original.sides import Side
from tests.bench.original.wrk import Figures, Wrk, summarize

_CONNECTIONS: Final = (1, 8, 32)
_BLOCK: Final = 64
"""Requests of one kind before those that undo them: more than are under way, so that each does real work."""
_BLOCKS: Final = 100
_MESSAGES: Final = 4000
_COMMENTS: Final = 4000
_AT_ONCE: Final = 8
_BESIDE: Final = 4
"""Requests at once beside the feed."""
_MOST_BESIDE: Final = 200
_PAUSE_MS: Final = 5
_ALONE_PAUSE: Final = 0.01
_BURST_PAUSE: Final = 0.02

type Measured = dict[str, Figures]


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What a phase needs."""

    side: Side
    client: Client
    wrk: Wrk
    data: Data
    size: Size
    quiet_seconds: float

    @property
    def accounts(self) -> Sequence[Account]:
        """All accounts."""
        return self.data.accounts


async def feed(load: Load) -> Measured:
    """Home feeds from the caches and after these were emptied."""
    lines = [load.client.line("feed", account) for account in load.accounts]
    figures = {}
    await _read_all_feeds(load)
    for connections in _CONNECTIONS:
        figures[f"feed warm c{connections}"] = await load.wrk.repeat(
            lines, connections=connections, seconds=load.size.seconds
        )
    runs = []
    for _ in range(load.size.cold_runs):
        await asyncio.to_thread(load.side.empty_caches)
        runs.append(await load.wrk.once(lines, connections=32))
    figures["feed cold c32"] = sorted(runs, key=lambda run: run.rate)[len(runs) // 2]
    return figures


async def reads(load: Load) -> Measured:
    """Profiles, the explore page, posts, and comments of posts."""
    accounts, posts = load.accounts, load.data.posts
    of_accounts = [accounts[(position * 7 + 1) % len(accounts)] for position in range(len(accounts))]
    of_posts = [posts[position % len(posts)] for position in range(len(accounts))]
    line = load.client.line
    lines = {
        "profile": [line("profile", a, username=of.username) for a, of in zip(accounts, of_accounts, strict=True)],
        "explore": [line("explore", account) for account in accounts],
        "post": [line("post", a, post_id=post.id) for a, post in zip(accounts, of_posts, strict=True)],
        "comments": [line("comments", a, post_id=post.id) for a, post in zip(accounts, of_posts, strict=True)],
    }
    return {
        f"{name} c8": await load.wrk.repeat(of_name, connections=8, seconds=load.size.seconds)
        for name, of_name in lines.items()
    }


async def likes(load: Load) -> Measured:
    """Likes that are withdrawn, and likes alone."""
    pairs = [(account, post) for account in load.accounts for post in load.data.posts]
    random.shuffle(pairs)
    line = load.client.line
    lines = {
        name: [line(name, account, post_id=post.id) for account, post in pairs[: _BLOCK * _BLOCKS]]
        for name in ("like", "unlike")
    }
    figures = {}
    await _undo_likes(load, pairs)
    for connections in _CONNECTIONS:
        figures[f"like and unlike c{connections}"] = await load.wrk.repeat(
            _alternate(lines["like"], lines["unlike"]), connections=connections, seconds=load.size.seconds
        )
    await _undo_likes(load, pairs)
    likes = [line("like", account, post_id=post.id) for account, post in pairs]
    figures["like c32"] = await load.wrk.repeat(likes, connections=32, seconds=load.size.seconds)
    hot = load.data.posts[0]
    of_one = {name: [line(name, account, post_id=hot.id) for account in load.accounts] for name in ("like", "unlike")}
    figures["like and unlike one post c32"] = await load.wrk.repeat(
        _alternate(of_one["like"], of_one["unlike"]), connections=32, seconds=load.size.seconds
    )
    return figures


async def comments(load: Load) -> Measured:
    """Comments that are written."""
    chance = random.Random(5)
    lines = [
        load.client.line(
            "comment", chance.choice(load.accounts), post_id=chance.choice(load.data.posts).id, text=text(chance, 8)
        )
        for _ in range(_COMMENTS)
    ]
    return {"comment c8": await load.wrk.repeat(lines, connections=8, seconds=load.size.seconds)}


async def follows(load: Load) -> Measured:
    """Follows that are withdrawn."""
    known, count = set(load.data.follows), len(load.accounts)
    pairs = [(one, other) for one in range(count) for other in range(count) if one != other]
    random.shuffle(pairs)
    free = [pair for pair in pairs if pair not in known][: _BLOCK * _BLOCKS]
    lines = {
        name: [load.client.line(name, load.accounts[one], user_id=load.accounts[other].id) for one, other in free]
        for name in ("follow", "unfollow")
    }
    figures = await load.wrk.repeat(
        _alternate(lines["follow"], lines["unfollow"]), connections=8, seconds=load.size.seconds
    )
    await load.wrk.once(lines["unfollow"], connections=8)
    return {"follow and unfollow c8": figures}


async def messages(load: Load) -> Measured:
    """Conversations opened, messages sent and read, and lists of conversations."""
    figures = {"conversation opened": await _open_conversations(load)}
    accounts, chance = load.accounts, random.Random(3)
    conversations = load.data.conversations
    line = load.client.line
    sent = [
        line("send", accounts[chance.choice((one, other))], conversation_id=found, text=text(chance, 3 + number % 8))
        for number in range(_MESSAGES)
        for one, other, found in [conversations[number % len(conversations)]]
    ]
    lines = {
        "send": sent,
        "messages": [line("messages", accounts[one], conversation_id=found) for one, _, found in conversations],
        "inbox": [line("inbox", accounts[one]) for one, _, _ in conversations],
    }
    for name, of_name in lines.items():
        for connections in _CONNECTIONS:
            figures[f"{name} c{connections}"] = await load.wrk.repeat(
                of_name, connections=connections, seconds=load.size.seconds
            )
    return figures


async def login(load: Load) -> Measured:
    """Logins."""
    lines = [load.client.line("login", username=account.username) for account in load.accounts]
    return {
        f"login c{connections}": await load.wrk.repeat(lines, connections=connections, seconds=load.size.seconds)
        for connections in (1, 4, 16)
    }


async def mixed(load: Load) -> Measured:
    """One feed at a time, alone and beside four logins, four stories and four posts of 12 megapixels."""
    pictures = read_pictures("12mp")
    uploads = Uploads(load.client, load.data)

    async def log_in(number: int) -> Answer:
        return await load.client.send("login", username=load.accounts[number % len(load.accounts)].username)

    async def create_story(number: int) -> Answer:
        picture = with_comment(pictures[number % len(pictures)], f"story {number} {time.time_ns()}")
        return await load.client.send("create_story", load.accounts[number % len(load.accounts)], picture=picture)

    async def create_post(number: int) -> Answer:
        return (await uploads.create("12mp", number))[1]

    figures = {"feed beside nothing": await _probe(load, None)}
    for name, send in (("logins", log_in), ("stories", create_story), ("posts", create_post)):
        created = len(load.data.posts)
        figures[f"feed beside {name}"] = await _probe(load, send)
        for post in load.data.posts[created:]:
            await uploads.wait_until_published(post, _BURST_PAUSE)
    return figures


async def upload(load: Load) -> Measured:
    """Photos one at a time until each is published, then bursts of eight at a time."""
    figures = {"photo of 1 MP alone, published": await _upload_alone(load)}
    figures["photos of 1 MP, burst"] = await _upload_burst(load, "1mp", load.size.small_burst)
    figures["photos of 12 MP, burst"] = await _upload_burst(load, "12mp", load.size.large_burst)
    return figures


async def feed_bytes(load: Load) -> Measured:
    """Kilobytes of a feed page of 20 posts, plain and as sent to a client that takes gzip."""
    plain = await load.client.send("feed", load.accounts[0])
    packed = await load.client.send("feed", load.accounts[0], encoding="gzip")
    errors = plain.is_error + packed.is_error
    share = 20 / len(plain.json["posts"])
    return {
        "feed page": Figures(amount=len(plain.body) * share / 1000, errors=errors),
        "feed page, gzip": Figures(amount=len(packed.body) * share / 1000, errors=errors),
    }


async def memory(load: Load) -> Measured:
    """Megabytes of each program, after everything else."""
    await asyncio.to_thread(wait_until_quiet, max(load.quiet_seconds, 1))
    used = proportional_megabytes(load.side.programs())
    named = {f"memory of {name}": Figures(amount=megabytes) for name, megabytes in used.items()}
    return named | {"memory": Figures(amount=sum(used.values()))}


PHASES: Final[Mapping[str, Callable[[Load], Awaitable[Measured]]]] = {
    "feed": feed,
    "reads": reads,
    "likes": likes,
    "comments": comments,
    "follows": follows,
    "messages": messages,
    "login": login,
    "mixed": mixed,
    "upload": upload,
    "bytes": feed_bytes,
    "memory": memory,
}
"""In the order in which they run."""


async def _read_all_feeds(load: Load) -> None:
    await count_errors(partial(load.client.send, "feed", account) for account in load.accounts)


async def _undo_likes(load: Load, pairs: Sequence[tuple[Account, Post]]) -> None:
    await load.wrk.once([load.client.line("unlike", a, post_id=post.id) for a, post in pairs], connections=8)


def _alternate(does: Sequence[str], undoes: Sequence[str]) -> list[str]:
    """Blocks of requests, each followed by the block that undoes it; the rest of less than a block is left out."""
    return [
        line
        for start in range(0, len(does) - _BLOCK + 1, _BLOCK)
        for lines in (does, undoes)
        for line in lines[start : start + _BLOCK]
    ]


async def _open_conversations(load: Load) -> Figures:
    """Open conversations between pairs that have none, one after the other."""
    data, took, errors = load.data, list[float](), 0
    data.rounds_opened += 1
    for one in range(0, len(data.accounts) - 1, 2):
        other = (one + 2 * data.rounds_opened - 1) % len(data.accounts)
        found, answer = await load.client.create(
            "open_conversation", data.accounts[one], user_id=data.accounts[other].id
        )
        took.append(answer.milliseconds)
        errors += answer.is_error
        if found:
            data.conversations.append((one, other, found))
    return summarize(took, seconds=sum(took) / 1000, errors=errors)


async def _probe(load: Load, send: Callable[[int], Awaitable[Answer]] | None) -> Figures:
    """Feeds of one connection, with a pause after each, while four others repeat a request."""
    await asyncio.to_thread(wait_until_quiet, load.quiet_seconds)
    await _read_all_feeds(load)
    lines = [load.client.line("feed", account) for account in load.accounts]
    ends_at, answers = time.monotonic() + load.size.seconds, list[Answer]()
    async with load.wrk.probe(lines, pause_ms=_PAUSE_MS) as probed:
        if send is None:
            await asyncio.sleep(load.size.seconds)
        else:
            numbers = (number for number in range(_MOST_BESIDE) if time.monotonic() < ends_at)
            answers = await at_once(_BESIDE, (partial(send, number) for number in numbers))
    figures = probed[0]
    figures.errors += sum(answer.is_error for answer in answers)
    figures.amount = len(answers)
    return figures


async def _upload_alone(load: Load) -> Figures:
    uploads, took = Uploads(load.client, load.data), list[float]()
    for number in range(load.size.alone):
        started = time.perf_counter()
        post, _ = await uploads.create("1mp", number)
        if post and await uploads.wait_until_published(post, _ALONE_PAUSE):
            took.append((time.perf_counter() - started) * 1000)
    return summarize(took, seconds=sum(took) / 1000, errors=uploads.errors)


async def _upload_burst(load: Load, kind: Kind, number: int) -> Figures:
    """The rate is of photos from the first request until the last one is published; times are those of answers."""
    await asyncio.to_thread(wait_until_quiet, load.quiet_seconds)
    uploads, started = Uploads(load.client, load.data), time.monotonic()
    with CpuMeter(load.side.programs()) as meter:
        sent = await at_once(_AT_ONCE, [partial(uploads.create, kind, position) for position in range(number)])
        for post, _ in sent:
            if post:
                await uploads.wait_until_published(post, _BURST_PAUSE)
    seconds = time.monotonic() - started
    figures = summarize([answer.milliseconds for _, answer in sent], seconds=seconds, errors=uploads.errors)
    figures.cores = meter.cores
    return figures
