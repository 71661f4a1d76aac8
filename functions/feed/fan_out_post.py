"""Queue post-published: add a published post to the timelines of its author and followers."""

from layers.core.events import PostPublished
from layers.entrypoints.queue import on_message
from layers.services.fan_out import fan_out


@on_message(PostPublished)
def handler(published: PostPublished) -> None:
    fan_out(published)
