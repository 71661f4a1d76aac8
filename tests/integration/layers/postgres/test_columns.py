"""Column lists that statements share are the fields of their Structs, in order."""

import pytest

from layers.core.models import Comment, PostThumb, UserCard, UserSelf
from layers.postgres import columns
from layers.postgres.connection import autocommit
from layers.postgres.post_rows import PostRow
from layers.postgres.stories import StoryRow


@pytest.mark.parametrize(
    ("names", "struct", "added_later"),
    [
        (columns.CARD, UserCard, ()),
        (columns.ACCOUNT, UserSelf, ()),
        (columns.POST, PostRow, ()),
        (columns.COMMENT, Comment, ("is_liked",)),
        (columns.THUMB, PostThumb, ()),
        (columns.STORY, StoryRow, ("has_viewed",)),
    ],
    ids=["CARD", "ACCOUNT", "POST", "COMMENT", "THUMB", "STORY"],
)
def test_a_column_list_is_the_fields_of_its_struct(names: str, struct: type, added_later: tuple[str, ...]) -> None:
    with autocommit() as db:
        found = db.execute(
            f"""
            SELECT {names}
              FROM users u, posts p, comments c, stories s
             WHERE false AND u.id = %(viewer_id)s
            """,  # noqa: S608 (the lists are constants)
            {"viewer_id": None},
        )
    fields = [name for name in struct.__struct_fields__ if name not in added_later]  # type: ignore[attr-defined]

    assert [column.name for column in found.description or ()] == fields
