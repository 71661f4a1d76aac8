"""Data of any size for `growth`: accounts, follows, posts, likes, comments and stories, made by PostgreSQL.

Account 1 is followed most and the last one least: the share of an account falls with the power 2/3 of its number. The
second half of the accounts has nobody with many followers, and every fifth of it has a name with a number in it, as a
text to search for that no popular account has.
"""

import time
from collections.abc import Mapping
from typing import Final, LiteralString
from uuid import UUID

import msgspec
from psycopg import sql

from layers.postgres import sessions
from layers.postgres.connection import Connection, autocommit, transaction

_FILL_SECONDS: Final = 1800
_FOLLOWED: Final = 50
"""By the reader who follows few accounts."""

FIRST_NAMES: Final = (
    *("Anna", "Ben", "Carla", "David", "Elena", "Felix", "Greta", "Hans", "Ines", "Jonas", "Karin", "Lukas", "Maria"),
    *("Nils", "Olga", "Paul", "Rosa", "Simon", "Tanja", "Uwe", "Vera", "Walter", "Yara", "Zoë", "Łukasz", "Иван"),
    *("Amelie", "Bastian", "Clara", "Dominik", "Emma", "Finn", "Hannah", "Jakob", "Lena", "Mateo", "Noah", "Sofia"),
)
LAST_NAMES: Final = (
    *("Adler", "Bauer", "Costa", "Diaz", "Eriksen", "Fischer", "Garcia", "Hoffmann", "Ivanova", "Jensen", "Keller"),
    *("Lopez", "Meyer", "Novak", "Olsen", "Pereira", "Quist", "Rossi", "Schmidt", "Torres", "Ueda", "Vogel", "Weber"),
    *("Xu", "Yilmaz", "Zimmermann", "Andersson", "Brandt", "Christensen", "Dubois", "Esposito", "Fontaine", "Gruber"),
)

MAKE_ID: Final = """
    CREATE FUNCTION made_id(at timestamptz, number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE RETURN (
        lpad(to_hex((date_part('epoch', at) * 1000)::bigint), 12, '0') || '7' || substr(md5(number::text), 1, 3)
        || '8' || substr(md5(number::text), 4, 15))::uuid
"""
# UUIDv7, as `layers.core.ids` makes them, but the same for the same number.

FIND_INDEXES: Final = """
    SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid)
      FROM pg_index
     WHERE indrelid = ANY(ARRAY['users', 'follows', 'posts', 'post_media', 'likes', 'comments', 'stories',
                                'story_views']::regclass[])
       AND NOT indisunique
"""
# Indexes are built after the rows, which takes a third of the time.

SKIP_CHECKS: Final = "SET session_replication_role = replica"
"""Foreign keys of made rows are not checked, and triggers not run."""
CHECK_AGAIN: Final = "SET session_replication_role = origin"

ADD_USERS: Final = """
    INSERT INTO users (id, username, email, password_hash, display_name, bio, avatar_id, is_private, banned_at,
                       created_at, updated_at)
    SELECT made_id(made.at, n), made.name, made.name || '@example.org', '!',
           CASE WHEN made.is_numbered THEN 'User ' || n ELSE made.first || ' ' || made.last END,
           'I take photographs.', CASE WHEN n %% 3 > 0 THEN gen_random_uuid() END, n %% 10 = 4,
           CASE WHEN n %% 200 = 150 THEN now() END, made.at, made.at
      FROM (SELECT names.*,
                   CASE WHEN is_numbered THEN 'user' || lpad(n::text, 8, '0')
                        ELSE regexp_replace(lower(first || '_' || last), '[^a-z_]', 'x', 'g') || n END AS name
              FROM (SELECT n, (%(first_names)s::text[])[1 + floor(%(first_count)s * random() ^ 2)] AS first,
                           (%(last_names)s::text[])[1 + floor(%(last_count)s * random() ^ 2)] AS last,
                           now() - interval '3 years' + n * (interval '3 years' / %(accounts)s) AS at,
                           n > %(accounts)s / 2 AND n %% 5 = 0 AS is_numbered
                      FROM generate_series(1, %(accounts)s) AS n) AS names) AS made
"""

MAKE_PEOPLE: Final = """
    CREATE TABLE people AS SELECT row_number() OVER (ORDER BY created_at)::int AS number, id FROM users
"""
MAKE_PEOPLE_INDEX: Final = "ALTER TABLE people ADD PRIMARY KEY (number)"

ADD_FOLLOWS: Final = """
    INSERT INTO follows (follower_id, following_id, created_at)
    SELECT follower.id, target.id, now() - random() * interval '2 years'
      FROM (SELECT DISTINCT 1 + floor(%(accounts)s * random())::int AS follower,
                            1 + floor(%(accounts)s * random() ^ 3)::int AS target
              FROM generate_series(1, (%(follows)s * 1.03)::int)) AS pair
      JOIN people follower ON follower.number = pair.follower
      JOIN people target ON target.number = pair.target
     WHERE pair.follower <> pair.target
     ORDER BY follower.id, target.id
     LIMIT %(follows)s
"""

ADD_VIEWER_FOLLOWS: Final = """
    INSERT INTO follows (follower_id, following_id, created_at)
    SELECT %(viewer_id)s, target.id, now() - random() * interval '2 years'
      FROM (SELECT 1 + floor(%(accounts)s * random() ^ 1.5)::int AS number
              FROM generate_series(1, 6 * %(followed)s::int) GROUP BY 1 ORDER BY random()
             LIMIT %(followed)s) AS chosen
      JOIN people target ON target.number = chosen.number
     WHERE target.id <> %(viewer_id)s
    ON CONFLICT DO NOTHING
"""

ADD_POSTS: Final = """
    INSERT INTO posts (id, user_id, caption, location, tags, status, published_at, created_at, updated_at)
    SELECT made_id(made.at, n), people.id, 'A morning by the river, number ' || n, 'Lisbon', ARRAY['river', 'morning'],
           CASE WHEN n %% 100 = 7 THEN 'failed' ELSE 'published' END, made.at, made.at, made.at
      FROM (SELECT n, now() - interval '2 years' + n * (interval '2 years' / %(posts)s) AS at,
                   1 + floor(%(accounts)s * random() ^ 1.5)::int AS author
              FROM generate_series(1, %(posts)s) AS n) AS made
      JOIN people ON people.number = made.author
     ORDER BY n
"""

ADD_MEDIA: Final = """
    INSERT INTO post_media (post_id, order_index, id, original_key, width, height, status)
    SELECT id, 0, id, 'originals/' || id, 1080, 810, status FROM posts ORDER BY id
"""

MAKE_PICTURES: Final = """
    CREATE TABLE pictures AS
    SELECT row_number() OVER (ORDER BY id DESC)::int AS number, id FROM posts WHERE status = 'published'
"""
MAKE_PICTURES_INDEX: Final = "ALTER TABLE pictures ADD PRIMARY KEY (number)"

ADD_LIKES: Final = """
    INSERT INTO likes (user_id, post_id, created_at)
    SELECT people.id, pictures.id, now() - random() * interval '30 days'
      FROM (SELECT DISTINCT 1 + floor(%(accounts)s * random())::int AS person,
                            1 + floor((SELECT count(*) FROM pictures) * random() ^ 3)::int AS picture
              FROM generate_series(1, %(likes)s)) AS pair
      JOIN people ON people.number = pair.person
      JOIN pictures ON pictures.number = pair.picture
     UNION
    SELECT people.id, %(hot_id)s, now() - random() * interval '2 days' FROM people WHERE number <= %(hot_likes)s
    ON CONFLICT DO NOTHING
"""

ADD_COMMENTS: Final = """
    INSERT INTO comments (id, post_id, user_id, content, created_at)
    SELECT made_id(made.at, n), coalesce(pictures.id, %(hot_id)s), people.id, 'What a view, number ' || n, made.at
      FROM (SELECT n, now() - random() * interval '30 days' AS at, 1 + floor(%(accounts)s * random())::int AS person,
                   1 + floor((SELECT count(*) FROM pictures) * random() ^ 3)::int AS picture
              FROM generate_series(1, %(comments)s) AS n) AS made
      JOIN people ON people.number = made.person
      LEFT JOIN pictures ON pictures.number = made.picture AND n > %(hot_comments)s
"""

ADD_STORIES: Final = """
    INSERT INTO stories (id, user_id, filter, created_at, expires_at)
    SELECT made_id(made.at, n), people.id, 'none', made.at, made.at + interval '24 hours'
      FROM (SELECT n, now() - random() * interval '22 hours' AS at,
                   1 + floor(%(accounts)s * random() ^ 1.5)::int AS author
              FROM generate_series(1, %(stories)s) AS n) AS made
      JOIN people ON people.number = made.author
"""

ADD_VIEWS: Final = """
    INSERT INTO story_views (story_id, viewer_id)
    SELECT made.id, people.id
      FROM (SELECT id, 1 + floor(%(accounts)s * random())::int AS number
              FROM stories, generate_series(1, 10)) AS made
      JOIN people USING (number)
     UNION
    SELECT s.id, f.follower_id
      FROM stories s JOIN follows f ON f.following_id = s.user_id
     WHERE f.follower_id = %(viewer_id)s AND random() < 0.5
    ON CONFLICT DO NOTHING
"""

COUNT_FOLLOWS: Final = """
    UPDATE users
       SET follower_count = counted.followers, following_count = counted.following, post_count = counted.posts
      FROM (SELECT u.id, coalesce(a.n, 0) AS followers, coalesce(b.n, 0) AS following, coalesce(c.n, 0) AS posts
              FROM users u
              LEFT JOIN (SELECT following_id AS id, count(*) AS n FROM follows GROUP BY 1) a USING (id)
              LEFT JOIN (SELECT follower_id AS id, count(*) AS n FROM follows GROUP BY 1) b USING (id)
              LEFT JOIN (SELECT user_id AS id, count(*) AS n FROM posts WHERE status = 'published' GROUP BY 1) c
                     USING (id)) AS counted
     WHERE users.id = counted.id
"""

COUNT_LIKES: Final = """
    UPDATE posts SET like_count = coalesce(a.n, 0), comment_count = coalesce(b.n, 0)
      FROM (SELECT post_id, count(*) AS n FROM likes GROUP BY 1) a
      FULL JOIN (SELECT post_id, count(*) AS n FROM comments GROUP BY 1) b USING (post_id)
     WHERE posts.id = coalesce(a.post_id, b.post_id)
"""

COUNT_VIEWS: Final = """
    UPDATE stories SET view_count = counted.n
      FROM (SELECT story_id, count(*) AS n FROM story_views GROUP BY 1) AS counted WHERE counted.story_id = stories.id
"""

FIND_PERSON: Final = "SELECT u.id, u.username FROM users u JOIN people USING (id) WHERE number = %(number)s"
FIND_HOT_POST: Final = """
    SELECT p.id FROM posts p JOIN people ON people.id = p.user_id
     WHERE people.number = 1 AND p.status = 'published' ORDER BY p.id DESC LIMIT 1
"""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of rows."""

    accounts: int
    posts: int
    follows: int
    followed: int
    """By the reader who follows most."""

    @property
    def values(self) -> dict[str, object]:
        """Parameters of the statements."""
        return {
            "accounts": self.accounts,
            "posts": self.posts,
            "follows": self.follows,
            "likes": self.posts // 2,
            "comments": self.posts // 4,
            "hot_likes": self.accounts // 10,
            "hot_comments": self.posts // 200,
            "stories": self.accounts // 20,
            "first_names": list(FIRST_NAMES),
            "last_names": list(LAST_NAMES),
            "first_count": len(FIRST_NAMES),
            "last_count": len(LAST_NAMES),
        }


class Reader(msgspec.Struct, frozen=True):
    """An account that reads, with its session."""

    id: UUID
    username: str
    session_id: str


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """What the requests of the benchmark are about."""

    reader: Reader
    """Follows 50 accounts."""
    busy_reader: Reader
    """Follows `Size.followed` accounts."""
    popular: str
    """The username with most followers, whose newest post has most likes and comments."""
    popular_id: UUID
    hot_post_id: UUID


def make(size: Size) -> Data:
    """Fill the database of the settings, whose schema is up to date and whose tables are empty."""
    values = size.values
    with transaction(answer_seconds=_FILL_SECONDS) as db:
        for setting in ("statement_timeout = 0", "work_mem = '256MB'", "maintenance_work_mem = '512MB'"):
            db.execute(sql.SQL("SET {}").format(sql.SQL(setting)))
        db.execute("SELECT setseed(0.5)")
        db.execute(MAKE_ID)
        indexes = db.execute(FIND_INDEXES).fetchall()
        for name, _ in indexes:
            db.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
        _run(db, ADD_USERS, values)
        for statement in (MAKE_PEOPLE, MAKE_PEOPLE_INDEX, SKIP_CHECKS):
            db.execute(statement)
        _run(db, ADD_POSTS, values)
        for statement in (ADD_MEDIA, MAKE_PICTURES, MAKE_PICTURES_INDEX):
            db.execute(statement)
        db.execute("CREATE INDEX posts_for_now ON posts (user_id, id)")
        popular_id, popular = _find_person(db, 1)
        readers = [_find_person(db, size.accounts // 2 + number) for number in (1, 3)]
        (hot_id,) = db.execute(FIND_HOT_POST).fetchone() or (None,)
        db.execute("DROP INDEX posts_for_now")
        _run(db, ADD_FOLLOWS, values)
        for (reader_id, _), followed in zip(readers, (_FOLLOWED, size.followed), strict=True):
            _run(db, ADD_VIEWER_FOLLOWS, values | {"viewer_id": reader_id, "followed": followed})
        _run(db, ADD_LIKES, values | {"hot_id": hot_id})
        _run(db, ADD_COMMENTS, values | {"hot_id": hot_id})
        _run(db, ADD_STORIES, values)
        _run(db, ADD_VIEWS, values | {"viewer_id": readers[1][0]})
        for statement in (CHECK_AGAIN, COUNT_FOLLOWS, COUNT_LIKES, COUNT_VIEWS, "DROP TABLE people, pictures"):
            db.execute(statement)
        for _, definition in indexes:
            db.execute(definition)
        sessions_of = [sessions.start(db, user_id=reader_id) for reader_id, _ in readers]
    with autocommit(answer_seconds=_FILL_SECONDS) as db:
        db.execute("SET statement_timeout = 0")
        db.execute("VACUUM (ANALYZE)")
        db.execute("CHECKPOINT")
    reader, busy_reader = (
        Reader(id_, username, session_id) for (id_, username), session_id in zip(readers, sessions_of, strict=True)
    )
    return Data(reader=reader, busy_reader=busy_reader, popular=popular, popular_id=popular_id, hot_post_id=hot_id)


def _run(db: Connection, statement: LiteralString, values: Mapping[str, object]) -> None:
    """Execute a statement that may use only some of the values."""
    started = time.monotonic()
    db.execute(statement, values)
    words = statement.split()
    print(f"  {' '.join(words[:3])}: {time.monotonic() - started:.0f} s", flush=True)


def _find_person(db: Connection, number: int) -> tuple[UUID, str]:
    id_, username = db.execute(FIND_PERSON, {"number": number}).fetchone() or (None, None)
    assert id_, number
    return id_, username
