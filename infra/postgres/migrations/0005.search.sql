-- Search for a part of a name with a trigram index.
-- depends: 0004.comments

CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE INDEX users_by_part_of_name ON users USING gin (username gin_trgm_ops, display_name gin_trgm_ops);

-- The LIKE pattern for texts that contain this text; `%`, `_` and `\` in it are escaped.
CREATE FUNCTION containing(part text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT RETURN '%' || regexp_replace(part, '([\\%_])', '\\\1', 'g') || '%';
