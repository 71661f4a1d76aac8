"""Fan-out: the id of a published post is put into the timelines of its author and of the author's followers."""

from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

from layers.core.events import PostPublished
from layers.postgres import feeds, follows
from layers.postgres.connection import autocommit
from layers.services import live_events
from layers.valkey import timelines

_BATCH: Final = 1000


def fan_out(published: PostPublished) -> None:
    """Put a published post into the feeds, and send a live event to its author; may be repeated.

    A post of an author with many followers is not put into their timelines but merged when a feed is read
    (docs/decisions/0019-many-followers-are-merged.md). Raises `StoreUnavailable`.
    """
    timelines.push([published.author_id], published.post_id)
    with autocommit() as db:
        is_merged_at_read = feeds.has_many_followers(db, author_id=published.author_id)
    if is_merged_at_read:
        timelines.push_popular(published.author_id, published.post_id)
    else:
        for followers in read_followers(published.author_id):
            timelines.push(followers, published.post_id)
    processed = live_events.PostProcessed(post_id=published.post_id, status="published")
    live_events.publish([published.author_id], processed)


def show_again(author_id: UUID) -> None:
    """Put an author's posts back into the feeds of the followers, after a ban.

    For an author with many followers, the older posts come back within an hour, when timelines are built again.
    """
    with autocommit() as db:
        is_merged_at_read = feeds.has_many_followers(db, author_id=author_id)
    if not is_merged_at_read:
        for followers in read_followers(author_id):
            timelines.add_followed_for_all(followers, author_id)


def read_followers(author_id: UUID) -> Iterator[Sequence[UUID]]:
    """The ids of the followers in batches of 1,000; no transaction is open between two batches."""
    after = follows.BEFORE_ALL
    while True:
        with autocommit() as db:
            batch = follows.read_follower_ids(db, user_id=author_id, after=after, at_most=_BATCH)
        if batch:
            yield batch
        if len(batch) < _BATCH:
            return
        after = batch[-1]
