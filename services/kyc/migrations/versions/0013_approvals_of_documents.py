"""The first of two approvals of an applicant is for the documents that its giver saw."""

from alembic import op

revision = "0013"
down_revision = "0012"

# What waits for a second approval was given beside documents that nobody knows: it is given again.
_DOCUMENTS = """
ALTER TABLE kyc.approvals ADD COLUMN documents_version bigint NOT NULL DEFAULT -1;
ALTER TABLE kyc.approvals ALTER COLUMN documents_version DROP DEFAULT;
COMMENT ON COLUMN kyc.approvals.documents_version IS 'How often the documents had changed then.';
"""

_TWO_PEOPLE = """
CREATE OR REPLACE FUNCTION kyc.require_two_people() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.high_risk AND NOT EXISTS (
            SELECT 1 FROM kyc.approvals a
            WHERE a.user_id = NEW.user_id AND a.version = OLD.version AND a.tier = NEW.tier
                AND a.approved_by <> NEW.decided_by AND NOT kyc.is_void(a.approved_by::text, a.at)
                AND a.documents_version = (
                    SELECT count(*) + count(removed_at) FROM kyc.documents d WHERE d.user_id = NEW.user_id))
        OR NOT OLD.high_risk AND NEW.decided_by IS NOT DISTINCT FROM OLD.risk_set_by THEN
        RAISE EXCEPTION 'it takes two to approve this applicant'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'verifications_two_people';
    END IF;
    RETURN NULL;
END
$$;
"""


def upgrade() -> None:
    op.execute(_DOCUMENTS)
    op.execute(_TWO_PEOPLE)


def downgrade() -> None:
    raise NotImplementedError("approvals of other documents would count again; restore the database from before")
