"""The schema page names all there is, and all that the original design had."""

import re
from pathlib import Path

import pytest

POSTGRES = Path(__file__).parents[2] / "infra" / "postgres"
PAGE = (POSTGRES / "README.md").read_text()
MIGRATIONS = "\n".join(path.read_text() for path in sorted((POSTGRES / "migrations").glob("*.sql")))
CREATED = re.compile(
    r"^CREATE\s+(?:OR\s+REPLACE\s+)?(?:UNIQUE\s+)?(TABLE|INDEX|FUNCTION|VIEW|TYPE|EXTENSION)\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)",
    re.MULTILINE | re.IGNORECASE,
)

ORIGINAL = (
    *("users", "idx_users_username", "idx_users_email"),
    *("posts", "idx_posts_user_id", "idx_posts_created_at", "idx_posts_user_created"),
    *("follows", "idx_follows_follower", "idx_follows_following"),
    *("likes", "idx_likes_post"),
    *("comments", "idx_comments_post"),
    *("stories", "idx_stories_user_expires", "idx_stories_active"),
    *("story_views", "idx_story_views_story"),
    *("conversations", "conversation_participants", "idx_conv_participants_user"),
    *("messages", "idx_messages_conv"),
    *("messages_by_conversation", "conversations_by_user", "typing_indicators", "message_reactions"),
)


def _is_named(name: str) -> bool:
    return re.search(rf"`{name}[`(]", PAGE) is not None


def test_the_migrations_are_read() -> None:
    kinds = [kind.upper() for kind, _ in CREATED.findall(MIGRATIONS)]

    assert len(kinds) == len(re.findall(r"^\s*CREATE\b", MIGRATIONS, re.MULTILINE | re.IGNORECASE))
    assert {"TABLE", "INDEX", "FUNCTION"} <= set(kinds)


@pytest.mark.parametrize("name", [name for _, name in CREATED.findall(MIGRATIONS)])
def test_what_the_migrations_create_is_on_the_page(name: str) -> None:
    assert _is_named(name)


@pytest.mark.parametrize("name", ORIGINAL)
def test_what_the_original_had_is_on_the_page(name: str) -> None:
    assert _is_named(name)


def test_the_page_names_only_what_exists() -> None:
    exist = {name for _, name in CREATED.findall(MIGRATIONS)} | set(ORIGINAL)
    exist |= set(re.findall(r"CONSTRAINT (\w+)", MIGRATIONS))
    listed = re.search(r"## What the original lacks(.*)Functions:", PAGE, re.DOTALL)
    assert listed
    named = {
        name
        for row in listed[1].splitlines()
        for name in re.findall(r"`(\w+)`", row.split("|")[1] if "|" in row else "")
    }

    assert named <= exist
