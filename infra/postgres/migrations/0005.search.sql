-- Search by a part of a name: trigrams find it without reading every account.
-- depends: 0004.comments

CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE INDEX users_by_part_of_name ON users USING gin (username gin_trgm_ops, display_name gin_trgm_ops);

-- The pattern of everything that contains this text: `%`, `_` and `\` stand for themselves.
CREATE FUNCTION containing(part text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT RETURN '%' || regexp_replace(part, '([\\%_])', '\\\1', 'g') || '%';
