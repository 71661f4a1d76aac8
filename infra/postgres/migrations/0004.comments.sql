-- Comments with replies and likes, and indexes for their lists.
-- depends: 0003.stories

CREATE TABLE comments (
    id          uuid PRIMARY KEY,
    post_id     uuid NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    user_id     uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    parent_id   uuid REFERENCES comments (id) ON DELETE CASCADE,
    content     varchar(2200) NOT NULL,
    like_count  integer NOT NULL DEFAULT 0 CHECK (like_count >= 0),
    reply_count integer NOT NULL DEFAULT 0 CHECK (reply_count >= 0),
    created_at  timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX comments_of_post ON comments (post_id, id DESC) WHERE parent_id IS NULL;
CREATE INDEX comments_of_post_with_replies ON comments (post_id);
CREATE INDEX comments_of_parent ON comments (parent_id, id) WHERE parent_id IS NOT NULL;
CREATE INDEX comments_of_user ON comments (user_id);

CREATE TABLE comment_likes (
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    comment_id uuid NOT NULL REFERENCES comments (id) ON DELETE CASCADE,
    created_at timestamptz(3) NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, comment_id)
);
CREATE INDEX comment_likes_of_comment ON comment_likes (comment_id);

-- Whether a viewer who may see the post may see a comment: not if the comment's author is banned, except for admins.
CREATE FUNCTION can_view_comment(viewer_is_admin boolean, author users) RETURNS boolean
LANGUAGE sql IMMUTABLE RETURN viewer_is_admin OR author.banned_at IS NULL;

CREATE INDEX saves_of_post ON saves (post_id);
CREATE INDEX story_views_of_story ON story_views (story_id, viewed_at DESC, viewer_id);

-- The order of Explore: by score, then the newest.
CREATE INDEX posts_by_score ON posts ((like_count + 2 * comment_count) DESC, id DESC) WHERE status = 'published';

-- Computed columns of posts. U+0001 is a placeholder for the signed part of the link.
CREATE FUNCTION thumbnail(post posts) RETURNS text
LANGUAGE sql IMMUTABLE RETURN
    CASE WHEN post.status = 'published' THEN U&'\0001' || 'processed/small/' || post.id || '_320.jpg' END;

CREATE FUNCTION media_count(post posts) RETURNS integer
LANGUAGE sql STABLE RETURN (SELECT count(*)::integer FROM post_media WHERE post_id = post.id);
