-- Deleted posts whose rows are removed after some time.
-- depends: 0010.growth

CREATE INDEX posts_to_forget ON posts (updated_at) WHERE status = 'deleted' AND media_removed;
