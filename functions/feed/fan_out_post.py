"""Queue post-published: a new post reaches its author's and followers' timelines."""

from layers.core import live
from layers.core.events import PostPublished
from layers.core.queue import on_message
from layers.postgres import feeds
from layers.valkey import timelines


@on_message(PostPublished)
def handler(published: PostPublished) -> None:
    timelines.publish(published.post_id, published.author_id, feeds.audience(published.author_id))
    live.tell([published.author_id], live.PostProcessed(post_id=published.post_id, status="published"))
