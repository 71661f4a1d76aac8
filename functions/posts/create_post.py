"""POST /api/v1/posts: 1 to 10 pictures with a caption, acknowledged once they are stored."""

import re

import msgspec

from layers.core import limits, metrics, pictures
from layers.core.endpoint import endpoint
from layers.core.errors import Invalid
from layers.core.ids import new_id
from layers.core.limits import POST_CREATE
from layers.core.models import Filter, Post, Shape, Viewer
from layers.core.multipart import File
from layers.core.response import Accepted
from layers.core.text import cleaned, hashtags
from layers.media import photos
from layers.postgres import posts
from layers.postgres.connection import transaction

_TAG = re.compile(rf"\w{{1,{limits.TAG_LENGTH}}}")


class NewPost(Shape, frozen=True, kw_only=True):
    """The form: files named `media` (or `image`) in carousel order; lists are JSON texts."""

    files: tuple[File, ...]
    caption: str = ""
    location: str = ""
    filters: str = ""
    tags: str = ""


class CreatedPost(Shape, frozen=True, kw_only=True):
    """The post as it waits for its renditions."""

    post: Post
    post_id: str = msgspec.field(name="post_id")
    status: str
    message: str


@endpoint(limit=POST_CREATE)
def handler(form: NewPost, viewer: Viewer) -> Accepted[CreatedPost]:
    given = [file for file in form.files if file.field in ("media", "image")]
    accepted = pictures.accepted(given, at_least=1, at_most=limits.POST_FILES)
    caption = _bounded("caption", cleaned(form.caption), limits.CAPTION_LENGTH)
    location = _bounded("location", cleaned(form.location), limits.LOCATION_LENGTH) or None
    tags, filters = _tags(form.tags, caption), _filters(form.filters, len(accepted))
    post_id = new_id()
    originals = photos.originals(post_id, accepted)
    with transaction() as db:
        posts.create(
            db,
            post_id=post_id,
            user_id=viewer.id,
            caption=caption,
            location=location,
            tags=tags,
            pictures=[
                posts.NewPicture(id=new_id(), original_key=original.key, filter=filter_)
                for original, filter_ in zip(originals, filters, strict=True)
            ],
        )
        post = posts.read(db, post_id=post_id, viewer=viewer)
    with posts.withdrawn_on_failure(post_id=post_id):
        photos.put_originals(originals)
    metrics.POSTS_CREATED.inc()
    message = "Your pictures are being prepared."
    return Accepted(CreatedPost(post=post, post_id=str(post_id), status=post.status, message=message))


def _bounded(field: str, text: str, length: int) -> str:
    if len(text) > length:
        raise Invalid.field(field, f"at most {length} characters, not {len(text)}")
    return text


def _filters(typed: str, count: int) -> list[Filter]:
    """One filter per picture; what is no JSON array means none."""
    try:
        names = msgspec.json.decode(typed, type=list[str])[:count]
    except msgspec.DecodeError:
        names = []
    try:
        filters = msgspec.convert(names, list[Filter])
    except msgspec.ValidationError:
        raise Invalid.field("filters", f"one of {', '.join(Filter.__args__)}") from None  # type: ignore[attr-defined]
    return filters + ["none"] * (count - len(filters))


def _tags(typed: str, caption: str) -> list[str]:
    """The form's tags and those of the caption: lower case, each once, at most 30."""
    try:
        names = msgspec.json.decode(typed, type=list[str]) if typed.strip() else []
    except msgspec.DecodeError:
        raise Invalid.field("tags", "must be a JSON array of names") from None
    if len(names) > limits.TAGS or not all(_TAG.fullmatch(name) for name in names):
        wanted = f"at most {limits.TAGS} names of 1 to {limits.TAG_LENGTH} letters, digits or _"
        raise Invalid.field("tags", wanted)
    return list(dict.fromkeys([name.lower() for name in names] + hashtags(caption)))
