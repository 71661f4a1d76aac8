-- Accounts, sessions and follows.

CREATE TABLE users (
    id              uuid PRIMARY KEY,
    username        varchar(30)  NOT NULL CONSTRAINT users_username_taken UNIQUE,
    email           varchar(255) NOT NULL CONSTRAINT users_email_taken UNIQUE,
    password_hash   text         NOT NULL,
    display_name    varchar(100) NOT NULL,
    bio             varchar(150),
    avatar_version  varchar(12),
    role            text         NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'verified', 'admin')),
    is_private      boolean      NOT NULL DEFAULT false,
    follower_count  integer      NOT NULL DEFAULT 0 CHECK (follower_count >= 0),
    following_count integer      NOT NULL DEFAULT 0 CHECK (following_count >= 0),
    post_count      integer      NOT NULL DEFAULT 0 CHECK (post_count >= 0),
    banned_at       timestamptz(3),
    created_at      timestamptz(3) NOT NULL DEFAULT now(),
    updated_at      timestamptz(3) NOT NULL DEFAULT now()
);

CREATE TABLE sessions (
    id_hash    bytea PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at timestamptz(3) NOT NULL DEFAULT now(),
    expires_at timestamptz(3) NOT NULL,
    ends_at    timestamptz(3) NOT NULL
);
CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE revocations (
    id         uuid PRIMARY KEY,
    session_id text,
    user_id    uuid,
    created_at timestamptz(3) NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(session_id, user_id) = 1)
);

CREATE TABLE follows (
    follower_id  uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    following_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at   timestamptz(3) NOT NULL DEFAULT now(),
    PRIMARY KEY (follower_id, following_id),
    CHECK (follower_id <> following_id)
);
CREATE INDEX follows_of_following ON follows (following_id, created_at DESC, follower_id);
CREATE INDEX follows_of_following_by_id ON follows (following_id, follower_id);
CREATE INDEX follows_of_follower ON follows (follower_id, created_at DESC, following_id);

CREATE TABLE follow_requests (
    requester_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    target_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at   timestamptz(3) NOT NULL DEFAULT now(),
    PRIMARY KEY (requester_id, target_id),
    CHECK (requester_id <> target_id)
);
CREATE INDEX follow_requests_of_target ON follow_requests (target_id, created_at DESC, requester_id);

-- Transactional outbox: messages are inserted in the transaction of their cause, published after its commit, and
-- published again by a schedule if that failed.
CREATE TABLE outbox (
    id         uuid PRIMARY KEY,
    queue      text  NOT NULL,
    body       jsonb NOT NULL,
    trace_id   text,
    created_at timestamptz(3) NOT NULL DEFAULT now()
);

-- Whether a viewer may see an account's content, the only place of this rule. A follow request does not count.
CREATE FUNCTION can_view(viewer_id uuid, viewer_is_admin boolean, owner users) RETURNS boolean
LANGUAGE sql STABLE RETURN
    viewer_is_admin OR (owner.banned_at IS NULL AND (
        NOT owner.is_private
        OR owner.id IS NOT DISTINCT FROM viewer_id
        OR EXISTS (SELECT FROM follows WHERE follower_id = viewer_id AND following_id = owner.id)
    ));

-- Computed columns, which queries read like stored ones: users.profile_picture_url, users.is_verified.
-- U+0002 is a placeholder for the signed part of the link, which is inserted when the answer is written.
CREATE FUNCTION profile_picture_url(account users) RETURNS text
LANGUAGE sql STABLE RETURN
    CASE WHEN account.avatar_version IS NOT NULL
         THEN U&'\0002' || 'avatars/' || account.id || '.jpg?v=' || account.avatar_version END;

CREATE FUNCTION is_verified(account users) RETURNS boolean
LANGUAGE sql IMMUTABLE RETURN account.role <> 'user';
