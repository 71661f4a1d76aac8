"""POST /api/v1/stories: one picture that lives 24 h, ready in the answer."""

from typing import Annotated

from layers.core import metrics, pictures
from layers.core.endpoint import endpoint
from layers.core.ids import NewId
from layers.core.limits import STORY_CREATE
from layers.core.models import Filter, Shape, Story, Viewer
from layers.core.multipart import File, Parts
from layers.core.response import Created
from layers.media import renditions, story_media
from layers.postgres import stories
from layers.postgres.connection import autocommit


class NewStory(Shape, frozen=True, kw_only=True):
    """The form: exactly one file named `media`."""

    files: Annotated[tuple[File, ...], Parts(names=("media",), at_least=1)] = ()
    filter: Filter = "none"


class OneStory(Shape, frozen=True, kw_only=True):
    """The story."""

    story: Story


@endpoint(limit=STORY_CREATE)
def handler(form: NewStory, viewer: Viewer, new: NewId) -> Created[OneStory]:
    given = [file for file in form.files if file.field == "media"]
    [picture] = pictures.accepted(given, at_least=1, at_most=1)
    with pictures.blaming(picture.file):
        rendered = renditions.render_story(picture.file.data)
    with autocommit() as db:
        stories.begin(db, story_id=new, user_id=viewer.id, filter_=form.filter)
    story_media.put(new, rendered)
    with autocommit() as db:
        story = stories.publish(db, story_id=new)
    metrics.STORIES_CREATED.inc()
    return Created(OneStory(story=story))
