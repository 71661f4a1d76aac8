"""Where a story's files lie in the bucket: under the day its id was made, so that the id alone leads to them."""

from uuid import UUID

from layers.core.ids import time_of


def picture_key(story_id: UUID, extension: str) -> str:
    """The picture itself, as `jpg` or `webp`."""
    return f"{_folder(story_id)}/{story_id}.{extension}"


def thumbnail_key(story_id: UUID) -> str:
    """The square thumbnail, a JPEG."""
    return f"{_folder(story_id)}/{story_id}_150.jpg"


def keys(story_id: UUID) -> list[str]:
    """All files of a story."""
    return [picture_key(story_id, "jpg"), picture_key(story_id, "webp"), thumbnail_key(story_id)]


def _folder(story_id: UUID) -> str:
    return f"stories/{time_of(story_id):%Y/%m/%d}"
