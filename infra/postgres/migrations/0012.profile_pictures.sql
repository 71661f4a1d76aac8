-- Each profile picture is a file of its own, so that a picture that could not be saved does not replace the one before.
-- depends: 0011.retention

ALTER TABLE users ADD COLUMN avatar_id uuid;

-- Until now the key of the file was the id of the account.
UPDATE users SET avatar_id = id WHERE avatar_version IS NOT NULL;

-- U+0002 is a placeholder for the signed part of the link, which is inserted when the answer is written.
CREATE OR REPLACE FUNCTION profile_picture_url(account users) RETURNS text
LANGUAGE sql STABLE RETURN
    CASE WHEN account.avatar_id IS NOT NULL THEN U&'\0002' || 'avatars/' || account.avatar_id || '.jpg' END;

ALTER TABLE users DROP COLUMN avatar_version;

-- Until this time the files can still be created with presigned URLs, or read by links that were handed out.
ALTER TABLE abandoned_files RENAME COLUMN writable_until TO kept_until;
