-- Statements whose time does not grow with the number of rows (docs/performance.md).
-- depends: 0009.uploads

-- Whether an account follows another. It is called for private accounts only. PostgreSQL keeps the plan of a statement
-- in PL/pgSQL; that of a function in SQL with a subquery is made anew in each statement.
CREATE FUNCTION is_follower(viewer_id uuid, owner_id uuid) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM follows WHERE follower_id = viewer_id AND following_id = owner_id);
END
$$;

-- Without a subquery, so that it becomes a part of the statement that calls it.
CREATE OR REPLACE FUNCTION can_view(viewer_id uuid, viewer_is_admin boolean, owner users) RETURNS boolean
LANGUAGE sql STABLE RETURN
    viewer_is_admin OR (owner.banned_at IS NULL AND (
        NOT owner.is_private
        OR owner.id IS NOT DISTINCT FROM viewer_id
        OR is_follower(viewer_id, owner.id)
    ));

CREATE INDEX users_banned ON users (id) WHERE banned_at IS NOT NULL;

-- Search. Each account has a key for every two adjacent characters of its names, which begins with its level: accounts
-- of a higher level have more followers. A search reads the accounts of one level after the other, from the highest,
-- until it has found enough.

-- In PL/pgSQL, since the expression of a generated column is read from the catalog in each statement.
CREATE FUNCTION follower_level(followers integer) RETURNS integer
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    RETURN width_bucket(followers, ARRAY[1, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048,
                                         4096, 8192, 16384, 32768, 65536, 131072, 262144, 524288, 1048576]);
END
$$;

CREATE FUNCTION folded(name text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT RETURN lower(name COLLATE "und-x-icu");

CREATE FUNCTION search_keys(level integer, names text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE STRICT COST 10000 AS $$
DECLARE
    prefix text := level;
    keys text[];
BEGIN
    FOR place IN 1 .. length(names) - 1 LOOP
        keys[place] := prefix || substr(names, place, 2);
    END LOOP;
    RETURN keys;
END
$$;

-- A fifth of each page stays free for new versions of its rows. A version on the same page is not added to the indexes
-- again, unless an indexed column has changed.
ALTER TABLE users SET (fillfactor = 80);

ALTER TABLE users ADD COLUMN follower_level integer NOT NULL GENERATED ALWAYS AS (follower_level(follower_count)) STORED;

DROP INDEX users_by_part_of_name;
CREATE INDEX users_by_part_of_name
    ON users USING gin (search_keys(follower_level, username || ' ' || folded(display_name)))
  WITH (fastupdate = off);

DROP EXTENSION pg_trgm;
