"""Stories to test with. Time passes by moving their rows, not by waiting."""

from uuid import UUID

from layers.core.ids import new_id
from layers.postgres import stories
from layers.postgres.connection import transaction
from tests.support.people import Person

HOUR = 3600


def new_story(author: Person, *, age_seconds: float = 0) -> UUID:
    """A story's row as it is so long after it was made; its files are nowhere."""
    story_id = new_id()
    with transaction() as db:
        stories.begin(db, story_id=story_id, user_id=author.id, filter_="moon")
        stories.publish(db, story_id=story_id)
    grow_older(story_id, seconds=age_seconds)
    return story_id


def grow_older(story_id: UUID, *, seconds: float) -> None:
    """Let so much time pass for one story."""
    with transaction() as db:
        db.execute(
            "UPDATE stories SET created_at = created_at - %(seconds)s * interval '1 s',"
            "                   expires_at = expires_at - %(seconds)s * interval '1 s' WHERE id = %(id)s",
            {"seconds": seconds, "id": story_id},
        )


def rows_of(author: Person) -> list[UUID]:
    """The ids of an account's rows, ended ones too, oldest first."""
    with transaction() as db:
        return [row[0] for row in db.execute("SELECT id FROM stories WHERE user_id = %s ORDER BY id", [author.id])]
