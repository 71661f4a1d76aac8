"""POST /api/v1/posts: 1 to 10 pictures with a caption, acknowledged once they are stored.

The pictures come as a form's files, or they lie in the store already: then JSON names their uploads.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated
from uuid import UUID

import msgspec

from layers.core import limits, metrics, pictures
from layers.core.endpoint import endpoint
from layers.core.errors import Invalid
from layers.core.ids import NewId, new_id
from layers.core.limits import POST_CREATE
from layers.core.models import FILTERS, Caption, Filter, Location, Post, PostStatus, Shape, Viewer
from layers.core.multipart import File, Parts
from layers.core.response import Accepted
from layers.core.text import bounded, hashtags
from layers.media import photos
from layers.media import uploads as files
from layers.postgres import posts, uploads
from layers.postgres.connection import autocommit, transaction

_TAG = re.compile(rf"\w{{1,{limits.TAG_LENGTH}}}")


class Words(Shape, frozen=True, kw_only=True):
    """What is said of the pictures."""

    caption: Caption = ""
    location: Location | None = None
    filters: Annotated[tuple[str, ...], msgspec.Meta(extra_json_schema={"items": {"enum": list(FILTERS)}})] = ()
    """By the pictures' order; missing ones are `none`, further ones do not count."""
    tags: Annotated[
        tuple[Annotated[str, msgspec.Meta(extra_json_schema={"pattern": rf"^\w{{1,{limits.TAG_LENGTH}}}$"})], ...],
        msgspec.Meta(extra_json_schema={"maxItems": limits.TAGS}),
    ] = ()
    """Added to the `#tags` of the caption."""


class PostOfUploads(Words, frozen=True, kw_only=True):
    """The JSON body: the ids of uploads in carousel order, each sent to its URL before."""

    uploads: Annotated[list[UUID], msgspec.Meta(min_length=1, max_length=limits.POST_FILES)]


class NewPost(Shape, frozen=True, kw_only=True):
    """The form: files named `media` (or `image`) in carousel order; lists are JSON texts."""

    files: Annotated[tuple[File, ...], Parts(names=("media", "image"), at_least=1, at_most=limits.POST_FILES)]
    caption: Caption = ""
    location: Location = ""
    filters: Annotated[str, msgspec.Meta(examples=['["moon", "none"]'])] = ""
    """A JSON array of filters, by the pictures' order; missing ones are `none`, further ones do not count."""
    tags: Annotated[str, msgspec.Meta(examples=['["hiking"]'])] = ""
    """A JSON array of names, added to the `#tags` of the caption."""

    def words(self) -> Words:
        """Filters that are no JSON array mean none; raises `Invalid` for such tags."""
        try:
            filters = msgspec.json.decode(self.filters, type=tuple[str, ...])
        except msgspec.DecodeError:
            filters = ()
        try:
            tags = msgspec.json.decode(self.tags, type=tuple[str, ...]) if self.tags.strip() else ()
        except msgspec.DecodeError:
            raise Invalid.field("tags", "must be a JSON array of names") from None
        return Words(caption=self.caption, location=self.location, filters=filters, tags=tags)


class CreatedPost(Shape, frozen=True, kw_only=True):
    """The post as it waits for its renditions."""

    post: Post
    post_id: UUID = msgspec.field(name="post_id")
    status: PostStatus
    message: str


class _Originals(msgspec.Struct, frozen=True):
    """Where a post's pictures are to lie, in order, and how they come there."""

    keys: list[str]
    store: Callable[[], None]
    upload_ids: Sequence[UUID] = ()


@endpoint(limit=POST_CREATE)
def handler(form: NewPost | None, body: PostOfUploads | None, viewer: Viewer, new: NewId) -> Accepted[CreatedPost]:
    if form is not None:
        return _created(_sent_along(form.files, new), form.words(), viewer, new)
    if body is not None:
        return _created(_sent_before(body.uploads, viewer, new), body, viewer, new)
    raise Invalid("The body must be a form or JSON.")


def _created(originals: _Originals, words: Words, viewer: Viewer, new: UUID) -> Accepted[CreatedPost]:
    """Rows first, files second: no file is without a row that names it."""
    caption = bounded("caption", words.caption, limits.CAPTION_LENGTH) or ""
    location = bounded("location", words.location, limits.LOCATION_LENGTH) or None
    tags, filters = _tags(words.tags, caption), _filters(words.filters, len(originals.keys))
    with transaction() as db:
        posts.create(
            db,
            post_id=new,
            user_id=viewer.id,
            caption=caption,
            location=location,
            tags=tags,
            pictures=[
                posts.NewPicture(id=new_id(), original_key=key, filter=filter_)
                for key, filter_ in zip(originals.keys, filters, strict=True)
            ],
        )
        if originals.upload_ids:
            uploads.take(db, upload_ids=originals.upload_ids, user_id=viewer.id, post_id=new)
        post = posts.read(db, post_id=new, viewer=viewer)
    if post.status == "processing":  # otherwise the request was cut off before, later than here
        with posts.withdrawn_on_failure(post_id=new, keys=photos.keys(new, originals.keys)):
            originals.store()
    metrics.POSTS_CREATED.inc()
    message = "Your pictures are being prepared."
    return Accepted(CreatedPost(post=post, post_id=new, status=post.status, message=message))


def _sent_along(sent: Sequence[File], new: UUID) -> _Originals:
    given = [file for file in sent if file.field in ("media", "image")]
    stored = photos.originals(new, pictures.accepted(given, at_least=1, at_most=limits.POST_FILES))
    return _Originals([file.key for file in stored], partial(photos.put_originals, stored))


def _sent_before(upload_ids: Sequence[UUID], viewer: Viewer, new: UUID) -> _Originals:
    if len(set(upload_ids)) != len(upload_ids):
        raise Invalid.field("uploads", "each of them once")
    with autocommit() as db:
        keys = posts.original_keys(db, post_id=new)
    if keys and photos.arrived(keys):  # the request was cut off before, when all had moved
        return _Originals(keys, lambda: None)
    with autocommit() as db:
        uploads.check(db, upload_ids=upload_ids, user_id=viewer.id, post_id=new)
    copies = files.copies(new, files.look(upload_ids))
    return _Originals([copy.key for copy in copies], partial(files.move, copies), upload_ids)


def _filters(names: Sequence[str], count: int) -> list[Filter]:
    """One filter per picture."""
    try:
        filters = msgspec.convert(names[:count], list[Filter])
    except msgspec.ValidationError:
        raise Invalid.field("filters", f"one of {', '.join(FILTERS)}") from None
    return filters + ["none"] * (count - len(filters))


def _tags(names: Sequence[str], caption: str) -> list[str]:
    """Those given and those of the caption: lower case, each once."""
    if len(names) > limits.TAGS or not all(_TAG.fullmatch(name) for name in names):
        wanted = f"at most {limits.TAGS} names of 1 to {limits.TAG_LENGTH} letters, digits or _"
        raise Invalid.field("tags", wanted)
    return list(dict.fromkeys([name.lower() for name in names] + hashtags(caption)))
