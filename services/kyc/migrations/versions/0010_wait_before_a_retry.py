"""Whoever was turned down waits before he applies again; those who were turned down before this do not."""

from alembic import op

revision = "0010"
down_revision = "0009"

_RETRIES = """
ALTER TABLE kyc.verifications
    ADD COLUMN retry_at timestamptz,
    ADD CONSTRAINT verifications_retry_at_where_allowed CHECK (retry_at IS NULL OR may_retry);

CREATE FUNCTION kyc.require_waiting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'who was turned down waits until %', OLD.retry_at
        USING ERRCODE = 'check_violation', CONSTRAINT = 'verifications_retried_in_time';
END
$$;
CREATE TRIGGER verifications_retried_in_time AFTER UPDATE ON kyc.verifications FOR EACH ROW
    WHEN (NEW.version <> OLD.version AND OLD.status = 'rejected' AND NEW.changed_at < OLD.retry_at)
    EXECUTE FUNCTION kyc.require_waiting();
"""


def upgrade() -> None:
    op.execute(_RETRIES)


def downgrade() -> None:
    op.execute("DROP TRIGGER verifications_retried_in_time ON kyc.verifications")
    op.execute("DROP FUNCTION kyc.require_waiting")
    op.execute("ALTER TABLE kyc.verifications DROP COLUMN retry_at")
