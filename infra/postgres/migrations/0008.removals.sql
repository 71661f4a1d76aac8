-- Files of deleted accounts.
-- depends: 0007.administration

-- Until this time, the files can still be created: a presigned upload works even if its account was deleted.
ALTER TABLE abandoned_files ADD COLUMN writable_until timestamptz(3) NOT NULL DEFAULT now();
