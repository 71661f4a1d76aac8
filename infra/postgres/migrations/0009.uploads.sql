-- Deleting a post that was not published releases its uploads.
-- depends: 0007.administration

ALTER TABLE uploads ADD CONSTRAINT uploads_post_id_fkey FOREIGN KEY (post_id) REFERENCES posts (id) ON DELETE SET NULL;
CREATE INDEX uploads_of_post ON uploads (post_id);
