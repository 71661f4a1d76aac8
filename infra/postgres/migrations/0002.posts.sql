-- Posts with their pictures, likes and saves.
-- depends: 0001.accounts

CREATE TABLE posts (
    id            uuid PRIMARY KEY,
    user_id       uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    caption       varchar(2200) NOT NULL DEFAULT '',
    location      varchar(255),
    tags          text[] NOT NULL DEFAULT '{}',
    status        text NOT NULL DEFAULT 'processing'
                  CHECK (status IN ('processing', 'published', 'failed', 'deleted')),
    like_count    integer NOT NULL DEFAULT 0 CHECK (like_count >= 0),
    comment_count integer NOT NULL DEFAULT 0 CHECK (comment_count >= 0),
    version       bigint  NOT NULL DEFAULT 1,
    published_at  timestamptz(3),
    media_removed boolean NOT NULL DEFAULT false,
    created_at    timestamptz(3) NOT NULL DEFAULT now(),
    updated_at    timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX posts_of_user ON posts (user_id, id DESC) WHERE status = 'published';
CREATE INDEX posts_unfinished ON posts (created_at) WHERE status = 'processing';
CREATE INDEX posts_with_remains ON posts (updated_at) WHERE status = 'deleted' AND NOT media_removed;

CREATE TABLE post_media (
    post_id      uuid    NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    order_index  integer NOT NULL CHECK (order_index BETWEEN 0 AND 9),
    id           uuid    NOT NULL UNIQUE,
    original_key text    NOT NULL,
    filter       text    NOT NULL DEFAULT 'none',
    width        integer,
    height       integer,
    status       text    NOT NULL DEFAULT 'processing' CHECK (status IN ('processing', 'published', 'failed')),
    failure      text,
    PRIMARY KEY (post_id, order_index)
);

CREATE TABLE likes (
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    post_id    uuid NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    created_at timestamptz(3) NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, post_id)
);
CREATE INDEX likes_of_post ON likes (post_id, created_at DESC, user_id);

CREATE TABLE saves (
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    post_id    uuid NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    created_at timestamptz(3) NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, post_id)
);
CREATE INDEX saves_of_user ON saves (user_id, created_at DESC, post_id);

-- Whether a viewer may see a post: as its author's content, and before it is published only the author and admins.
CREATE FUNCTION can_view_post(viewer_id uuid, viewer_is_admin boolean, post posts, owner users) RETURNS boolean
LANGUAGE sql STABLE RETURN
    post.status <> 'deleted'
    AND can_view(viewer_id, viewer_is_admin, owner)
    AND (post.status = 'published' OR viewer_is_admin OR post.user_id IS NOT DISTINCT FROM viewer_id);
