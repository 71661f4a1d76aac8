"""Finds rows whose files are missing, and hides them; compares counters with the rows that they count."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from infra.backup import files
from layers.cassandra import pictures
from layers.media import avatars, message_pictures, photos
from layers.postgres import consistency, posts
from layers.postgres.connection import Connection, transaction
from layers.postgres.consistency import PublishedPicture

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_SECONDS = 600
_SHOWN = 20
_LOST = "The file of this picture was lost."


class Missing(msgspec.Struct, frozen=True):
    """A row of which files are missing."""

    row: str
    files: list[str]
    effect: str
    """What a repair does, or has done, with the row."""


class Report(msgspec.Struct, frozen=True):
    """What a check has found."""

    posts: int
    """The published posts that were checked."""
    objects: int
    missing: list[Missing]
    wrong_counters: dict[str, int]
    """The number of counters that differ from their rows, by kind; none if all are right."""
    is_repaired: bool

    def describe(self) -> str:
        """The report for the terminal."""
        lines = [f"Checked {self.posts} published posts and {self.objects} files"]
        lines += [f"{count} counters of {what} differ from their rows" for what, count in self.wrong_counters.items()]
        if not self.wrong_counters:
            lines.append("All counters equal their rows")
        if not self.missing:
            lines.append("No file is missing")
        elif self.is_repaired:
            lines.append(f"{len(self.missing)} rows had missing files and are not shown broken:")
        else:
            lines.append(f"{len(self.missing)} rows have missing files (a restore hides such rows):")
        lines += [f"  {each.row}: {each.effect}; missing: {', '.join(each.files)}" for each in self.missing[:_SHOWN]]
        if len(self.missing) > _SHOWN:
            lines.append(f"  … and {len(self.missing) - _SHOWN} more")
        return "\n".join(lines)


def run(store: "S3Client", bucket: str, *, repairs: bool) -> Report:
    """Check all rows; with `repairs`, rows whose files are missing are changed so that nothing broken is shown.

    A post is processed again if it has all originals, and fails otherwise; a story ends; a profile and a message lose
    their picture. Raises `StoreUnavailable`, and the errors of the stores' clients.
    """
    stored = files.list_keys(store, bucket)
    with transaction(answer_seconds=_SECONDS) as db:
        published: defaultdict[UUID, list[PublishedPicture]] = defaultdict(list)
        for picture in consistency.list_published_pictures(db):
            published[picture.post_id].append(picture)
        missing = [
            *_check_posts(db, published, stored, repairs=repairs),
            *_check_stories(db, stored, repairs=repairs),
            *_check_avatars(db, stored, repairs=repairs),
        ]
        wrong_counters = consistency.count_wrong_counters(db)
    missing += _check_messages(stored, repairs=repairs)
    return Report(
        posts=len(published),
        objects=len(stored),
        missing=missing,
        wrong_counters=wrong_counters,
        is_repaired=repairs,
    )


def _check_posts(
    db: Connection, published: dict[UUID, list[PublishedPicture]], stored: Collection[str], *, repairs: bool
) -> Iterator[Missing]:
    for post_id, of_post in published.items():
        lost = {each: _lost(photos.rendition_keys(post_id, each.order_index), stored) for each in of_post}
        broken = [each for each in of_post if lost[each]]
        if not broken:
            continue
        hopeless = [each for each in broken if each.original_key not in stored]
        if repairs:
            consistency.reopen(db, post_id=post_id, order_indexes=[each.order_index for each in broken])
            for each in hopeless:
                posts.fail_picture(db, post_id=post_id, order_index=each.order_index, reason=_LOST)
        effect = "failed, and only its author sees it" if hopeless else "its pictures are made again"
        keys = [key for each in broken for key in lost[each]] + [each.original_key for each in hopeless]
        yield Missing(f"post {post_id}", keys, effect)


def _lost(keys: Iterable[str], stored: Collection[str]) -> list[str]:
    return [key for key in keys if key not in stored]


def _check_stories(db: Connection, stored: Collection[str], *, repairs: bool) -> Iterator[Missing]:
    for story_id, keys in consistency.list_active_stories(db).items():
        if lost := _lost(keys, stored):
            if repairs:
                consistency.end_story(db, story_id=story_id)
            yield Missing(f"story {story_id}", lost, "ended")


def _check_avatars(db: Connection, stored: Collection[str], *, repairs: bool) -> Iterator[Missing]:
    for user_id, avatar_id in consistency.list_profile_pictures(db).items():
        if (key := avatars.key(avatar_id)) not in stored:
            if repairs:
                consistency.clear_picture(db, user_id=user_id)
            yield Missing(f"account {user_id}", [key], "has no profile picture")


def _check_messages(stored: Collection[str], *, repairs: bool) -> Iterator[Missing]:
    for picture in pictures.list_all():
        key = message_pictures.key_of(picture.media_url)
        if key and key not in stored:
            if repairs:
                pictures.forget(picture)
            yield Missing(f"message {picture.message_id}", [key], "has no picture")
