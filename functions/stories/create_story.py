"""POST /api/v1/stories: create a story of one picture, which expires after 24 h.

The picture is processed before the answer.
"""

from typing import Annotated

from layers.core import metrics
from layers.core.files import File, Files
from layers.core.ids import NewId
from layers.core.limits import STORY_CREATE
from layers.core.models import Filter, Shape, Story, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.entrypoints.response import Created
from layers.media import pictures, renditions, story_media
from layers.postgres import stories
from layers.postgres.connection import autocommit


class NewStory(Shape, frozen=True, kw_only=True):
    """A form with exactly one file named `media`."""

    media: Annotated[File, Files(names=("media",), at_least=1)]
    filter: Filter = "none"


class OneStory(Shape, frozen=True, kw_only=True):
    """The story that was created."""

    story: Story


@endpoint(limit=STORY_CREATE)
def handler(form: NewStory, viewer: Viewer, new: NewId) -> Created[OneStory]:
    picture = pictures.identify(form.media)
    with pictures.errors_of(picture.file):
        rendered = renditions.render_story(picture.file.data)
    with autocommit() as db:
        stories.begin(db, story_id=new, user_id=viewer.id, filter_=form.filter)
    story_media.save(new, rendered)
    with autocommit() as db:
        story = stories.publish(db, story_id=new)
    metrics.STORIES_CREATED.inc()
    return Created(OneStory(story=story))
