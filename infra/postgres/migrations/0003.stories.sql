-- Stories and their views. Queries exclude expired stories; the hourly cleanup only frees space.
-- depends: 0002.posts

CREATE TABLE stories (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    filter     text NOT NULL DEFAULT 'none',
    view_count integer NOT NULL DEFAULT 0 CHECK (view_count >= 0),
    created_at timestamptz(3) NOT NULL DEFAULT now(),
    expires_at timestamptz(3) NOT NULL
);
CREATE INDEX stories_of_user ON stories (user_id, expires_at);
CREATE INDEX stories_by_expiry ON stories (expires_at);

CREATE TABLE story_views (
    story_id  uuid NOT NULL REFERENCES stories (id) ON DELETE CASCADE,
    viewer_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    viewed_at timestamptz(3) NOT NULL DEFAULT now(),
    PRIMARY KEY (story_id, viewer_id)
);
CREATE INDEX story_views_of_viewer ON story_views (viewer_id);
