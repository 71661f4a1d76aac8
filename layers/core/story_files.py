"""The keys of a story's files in the bucket, which follow from the story's id: the folder is the day of the id."""

from uuid import UUID

from layers.core.ids import time_of


def picture_key(story_id: UUID, extension: str) -> str:
    """The key of the picture; the extension is `jpg` or `webp`."""
    return f"{_folder(story_id)}/{story_id}.{extension}"


def thumbnail_key(story_id: UUID) -> str:
    """The key of the square thumbnail, a JPEG."""
    return f"{_folder(story_id)}/{story_id}_150.jpg"


def keys(story_id: UUID) -> list[str]:
    """The keys of all files of a story."""
    return [picture_key(story_id, "jpg"), picture_key(story_id, "webp"), thumbnail_key(story_id)]


def _folder(story_id: UUID) -> str:
    return f"stories/{time_of(story_id):%Y/%m/%d}"
