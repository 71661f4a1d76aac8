-- Idempotency keys, direct uploads, and files to delete whose rows were deleted.
-- depends: 0005.search

CREATE TABLE idempotency_keys (
    user_id    uuid  NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    route      text  NOT NULL,
    key        text  NOT NULL,
    body_hash  bytea NOT NULL,
    new_id     uuid  NOT NULL,
    busy_until timestamptz(3) NOT NULL,
    status     integer,
    answer     text,
    created_at timestamptz(3) NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, route, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

CREATE TABLE uploads (
    id         uuid PRIMARY KEY,
    user_id    uuid    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    size       integer NOT NULL CHECK (size > 0),
    media_type text    NOT NULL,
    post_id    uuid,
    created_at timestamptz(3) NOT NULL DEFAULT now(),
    expires_at timestamptz(3) NOT NULL
);
CREATE INDEX uploads_of_user ON uploads (user_id);
CREATE INDEX uploads_by_age ON uploads (created_at);

CREATE TABLE abandoned_files (
    id         uuid PRIMARY KEY,
    keys       text[] NOT NULL,
    created_at timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX abandoned_files_by_age ON abandoned_files (created_at);
