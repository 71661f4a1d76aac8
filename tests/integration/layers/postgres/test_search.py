"""The search by part of a name against one that compares all names."""

import random
from collections.abc import Iterator

import pytest
from psycopg import Rollback

from layers.core.ids import new_id
from layers.core.models import Viewer
from layers.postgres import users
from layers.postgres.connection import Connection, transaction

ACCOUNTS = 3000
SEARCHES = 150
LETTERS = "ab_01"
SIGNS = "aAbB éÉшШ%_\\'ſİ"

ADD = """
    INSERT INTO users (id, username, email, password_hash, display_name, follower_count, banned_at)
    VALUES (%s, %s, %s, '!', %s, %s, CASE WHEN %s THEN now() END)
"""
COMPARE_ALL = """
    SELECT username, follower_count
      FROM users
     WHERE (strpos(username, lower(%(part)s COLLATE "und-x-icu")) > 0
            OR strpos(lower(display_name COLLATE "und-x-icu"), lower(%(part)s COLLATE "und-x-icu")) > 0)
       AND (banned_at IS NULL OR %(is_admin)s)
"""


@pytest.fixture(scope="module")
def crowd() -> Iterator[Connection]:
    """A transaction that has many accounts and is rolled back; some share a number of followers, many have none."""
    chance = random.Random(13)
    rows = []
    for number in range(ACCOUNTS):
        username = f"{''.join(chance.choices(LETTERS, k=6))}{number:x}"
        display_name = "".join(chance.choices(SIGNS, k=chance.randint(1, 9))).strip() or username
        followers = int(chance.paretovariate(0.5)) - 1 if chance.random() < 0.7 else 0
        is_banned = chance.random() < 0.05
        rows.append((new_id(), username, f"{username}@example.org", display_name, min(followers, 10**9), is_banned))
    with transaction() as db:
        with db.cursor() as cursor:
            cursor.executemany(ADD, rows)
        db.execute("ANALYZE users")
        yield db
        raise Rollback


def _viewer(role: str) -> Viewer:
    return Viewer(id=new_id(), username="viewer", role=role, session_id="")  # type: ignore[arg-type]


def _compare_all(db: Connection, part: str, viewer: Viewer | None) -> dict[str, int]:
    """The followers of each account that has the text in a name, by its username."""
    values = {"part": part, "is_admin": viewer is not None and viewer.role == "admin"}
    rows: list[tuple[str, int]] = db.execute(COMPARE_ALL, values).fetchall()
    return dict(rows)


def test_it_finds_what_a_comparison_of_all_names_finds(crowd: Connection) -> None:
    chance = random.Random(7)
    for _ in range(SEARCHES):
        signs = chance.choice((LETTERS, SIGNS))
        part = "".join(chance.choices(signs, k=chance.choice((2, 2, 3, 4)))).strip()
        if len(part) < 2:
            continue
        viewer, at_most = _viewer(chance.choice(("user", "admin"))), chance.choice((1, 3, 20, 100))
        found = users.search(crowd, part=part, viewer=viewer, at_most=at_most)
        everyone = _compare_all(crowd, part, viewer)
        followers = [everyone[card.username] for card in found]

        assert followers == sorted(everyone.values(), reverse=True)[:at_most], part
        assert len({card.username for card in found}) == len(found)


def test_of_equally_many_followers_the_names_are_in_order(crowd: Connection) -> None:
    found = users.search(crowd, part="ab", viewer=None, at_most=100)
    everyone = _compare_all(crowd, "ab", None)
    order = [(-everyone[card.username], card.username) for card in found]

    assert len(found) == 100
    assert order == sorted(order)


def test_an_account_moves_up_with_each_follower(crowd: Connection) -> None:
    """The order is exact at once, whatever the level of followers."""
    token = new_id().hex[:12]
    names = [f"{token}{letter}" for letter in "abc"]
    for name in names:
        crowd.execute(ADD, (new_id(), name, f"{name}@example.org", "Same", 0, False))
    change = "UPDATE users SET follower_count = follower_count + %s WHERE username = %s"
    chance = random.Random(5)
    counts = dict.fromkeys(names, 0)
    for _ in range(120):
        name, step = chance.choice(names), chance.choice((1, 1, 1, 3, 20, -1))
        step = max(step, -counts[name])
        counts[name] += step
        crowd.execute(change, (step, name))
        found = users.search(crowd, part=token, viewer=None, at_most=3)

        assert [counts[card.username] for card in found] == sorted(counts.values(), reverse=True)


def test_a_new_name_is_found_and_the_old_one_is_not(crowd: Connection) -> None:
    token, other = new_id().hex[:12], new_id().hex[12:24]
    user_id = new_id()
    crowd.execute(ADD, (user_id, f"u{other[:9]}", f"{other}@example.org", f"Name {token}", 5, False))
    assert [card.id for card in users.search(crowd, part=token, viewer=None, at_most=5)] == [user_id]
    users.update(crowd, user_id=user_id, change=users.ProfilePatch(display_name=f"Name {other}"))

    assert users.search(crowd, part=token, viewer=None, at_most=5) == []
    assert [card.id for card in users.search(crowd, part=other[-3:], viewer=None, at_most=100) if card.id == user_id]
