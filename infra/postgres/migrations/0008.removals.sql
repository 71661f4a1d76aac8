-- Files of removed accounts.
-- depends: 0007.administration

-- Until then somebody may still be storing them: a presigned upload works without asking whether its account is there.
ALTER TABLE abandoned_files ADD COLUMN writable_until timestamptz(3) NOT NULL DEFAULT now();
