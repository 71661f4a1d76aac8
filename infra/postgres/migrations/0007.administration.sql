-- The audit trail of admins, and indexes for their lists.
-- depends: 0006.repeats_and_uploads

-- No reference to users: entries remain when accounts are deleted.
CREATE TABLE audit (
    id         uuid PRIMARY KEY,
    admin_id   uuid  NOT NULL,
    action     text  NOT NULL,
    target_id  uuid,
    details    jsonb NOT NULL DEFAULT '{}',
    trace_id   text,
    created_at timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX audit_of_admin ON audit (admin_id, id DESC);
CREATE INDEX audit_of_target ON audit (target_id, id DESC) WHERE target_id IS NOT NULL;

CREATE INDEX posts_of_user_in_any_state ON posts (user_id, id DESC);
