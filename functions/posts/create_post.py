"""POST /api/v1/posts: create a post of 1 to 10 pictures, which are stored before the answer and processed after it.

The pictures are sent as the files of a form, or were uploaded before (`createUploads`): then the body is JSON with the
ids of the uploads. Only the author and admins see the post until all of its pictures are processed.
"""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import msgspec

from layers.core import limits, untrusted_json
from layers.core.errors import Invalid
from layers.core.files import File, Files
from layers.core.ids import NewId
from layers.core.limits import POST_CREATE
from layers.core.models import FILTERS, Caption, Filter, Location, Post, PostStatus, Shape, Tag, Viewer
from layers.core.text import find_hashtags
from layers.entrypoints.arguments import convert
from layers.entrypoints.endpoint import endpoint
from layers.entrypoints.http import JSON
from layers.entrypoints.response import Accepted
from layers.media import photos, pictures
from layers.media import uploads as upload_files
from layers.postgres import posts, uploads
from layers.postgres.connection import autocommit
from layers.services import post_creation
from layers.services.post_creation import PostDraft


class PostDetails(Shape, frozen=True, kw_only=True):
    """The texts, tags and filters of a post."""

    caption: Caption = ""
    location: Location | None = None
    filters: Annotated[tuple[str, ...], msgspec.Meta(extra_json_schema={"items": {"enum": list(FILTERS)}})] = ()
    """Names of filters, in the order of the pictures; missing ones are `none`, extra ones are ignored."""
    tags: Annotated[tuple[Tag, ...], msgspec.Meta(max_length=limits.TAGS)] = ()
    """Merged with the `#tags` of the caption; at most 30 in all."""


class PostOfUploads(PostDetails, frozen=True, kw_only=True):
    """The JSON body, for files that were uploaded before."""

    uploads: Annotated[list[UUID], msgspec.Meta(min_length=1, max_length=limits.POST_FILES)]
    """Ids of uploads, in the order in which the pictures are shown. Each can be used once."""


def _array_of(items: dict[str, object], example: list[str]) -> msgspec.Meta:
    """What describes a text that is a JSON array."""
    array = {"type": "array", "items": items, "default": [], "examples": [example]}
    return msgspec.Meta(extra_json_schema={"contentMediaType": JSON, "contentSchema": array})


class NewPost(Shape, frozen=True, kw_only=True):
    """The form: files named `media` or `image`, in the order in which the pictures are shown."""

    pictures: Annotated[tuple[File, ...], Files(names=("media", "image"), at_least=1, at_most=limits.POST_FILES)]
    caption: Caption = ""
    location: Location = ""
    filters: Annotated[str, _array_of({"enum": list(FILTERS)}, example=["moon", "none"])] = ""
    """As JSON: names of filters, in the order of the pictures; missing ones are `none`, extra ones are ignored."""
    tags: Annotated[str, _array_of({"type": "string"}, example=["hiking"])] = ""
    """As JSON: names, merged with the `#tags` of the caption; at most 30 in all."""

    def details(self) -> PostDetails:
        """The fields, with the JSON arrays decoded.

        `filters` that are not an array are ignored. Raises `Invalid` if `tags` is not an array.
        """
        try:
            tags = untrusted_json.decode(self.tags.encode(), list[Any]) if self.tags.strip() else []
        except (Invalid, msgspec.ValidationError):
            raise Invalid.field("tags", "must be a JSON array of names") from None
        members = {"caption": self.caption, "location": self.location, "filters": self._filters(), "tags": tags}
        return convert(members, PostDetails)

    def _filters(self) -> tuple[str, ...]:
        try:
            return untrusted_json.decode(self.filters.encode(), tuple[str, ...])
        except (Invalid, msgspec.ValidationError):
            return ()


class CreatedPost(Shape, frozen=True, kw_only=True):
    """The post, whose pictures are being processed."""

    post: Post
    post_id: UUID = msgspec.field(name="post_id")
    status: PostStatus
    message: str


@endpoint(limit=POST_CREATE)
def handler(form: NewPost | None, body: PostOfUploads | None, viewer: Viewer, new: NewId) -> Accepted[CreatedPost]:
    if form is not None:
        draft = _draft_of_files(form.pictures, form.details(), new)
    elif body is not None:
        draft = _draft_of_uploads(body.uploads, body, viewer, new)
    else:
        raise Invalid("The body must be a form or JSON.")
    post = post_creation.create(draft, viewer)
    message = "Your pictures are being processed."
    return Accepted(CreatedPost(post=post, post_id=new, status=post.status, message=message))


def _draft_of_files(sent: Sequence[File], details: PostDetails, new: UUID) -> PostDraft:
    originals = photos.original_files(new, pictures.identify_all(sent))
    draft = _draft(details, new, [file.key for file in originals])
    return msgspec.structs.replace(draft, store_originals=partial(photos.put_originals, originals))


def _draft_of_uploads(upload_ids: Sequence[UUID], details: PostDetails, viewer: Viewer, new: UUID) -> PostDraft:
    if len(set(upload_ids)) != len(upload_ids):
        raise Invalid.field("uploads", "each upload can be used once")
    with autocommit() as db:
        keys = posts.read_original_keys(db, post_id=new)
    if keys and photos.are_stored(keys):  # an earlier request with the same id ended after it moved the files
        return _draft(details, new, keys)
    with autocommit() as db:
        uploads.check(db, upload_ids=upload_ids, user_id=viewer.id, post_id=new)
    copies = upload_files.copies(new, upload_files.inspect(upload_ids))
    draft = _draft(details, new, [copy.key for copy in copies])
    return msgspec.structs.replace(draft, upload_ids=upload_ids, store_originals=partial(upload_files.move, copies))


def _draft(details: PostDetails, new: UUID, original_keys: Sequence[str]) -> PostDraft:
    """A draft of a post whose files are already stored."""
    given = [tag.lower() for tag in details.tags]
    tags = list(dict.fromkeys(given + find_hashtags(details.caption)))
    if len(tags) > limits.TAGS:
        raise Invalid.field("tags", f"at most {limits.TAGS} together with the #tags of the caption, not {len(tags)}")
    return PostDraft(
        id=new,
        caption=details.caption,
        location=details.location or None,
        tags=tags,
        filters=_filters(details.filters, len(original_keys)),
        original_keys=original_keys,
        store_originals=lambda: None,
    )


def _filters(names: Sequence[str], count: int) -> list[Filter]:
    """One filter per picture."""
    try:
        filters = msgspec.convert(names[:count], list[Filter])
    except msgspec.ValidationError:
        raise Invalid.field("filters", f"must be one of {', '.join(FILTERS)}") from None
    return filters + ["none"] * (count - len(filters))
