"""The first of two approvals of an applicant ends with the authority of whoever gave it."""

from alembic import op

from libs.common.db.shared_tables import void_approvals_sql

revision = "0012"
down_revision = "0011"

# Who has his role back approves again: his first approval stays as it was given, and does not count.
_KEY = """
ALTER TABLE kyc.approvals DROP CONSTRAINT approvals_pkey,
    ADD CONSTRAINT approvals_pkey PRIMARY KEY (user_id, version, approved_by, tier, at);
"""

_TWO_PEOPLE = """
CREATE OR REPLACE FUNCTION kyc.require_two_people() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.high_risk AND NOT EXISTS (
            SELECT 1 FROM kyc.approvals a
            WHERE a.user_id = NEW.user_id AND a.version = OLD.version AND a.tier = NEW.tier
                AND a.approved_by <> NEW.decided_by AND NOT kyc.is_void(a.approved_by::text, a.at))
        OR NOT OLD.high_risk AND NEW.decided_by IS NOT DISTINCT FROM OLD.risk_set_by THEN
        RAISE EXCEPTION 'it takes two to approve this applicant'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'verifications_two_people';
    END IF;
    RETURN NULL;
END
$$;
"""


def upgrade() -> None:
    op.execute(void_approvals_sql("kyc"))
    op.execute(_KEY)
    op.execute(_TWO_PEOPLE)


def downgrade() -> None:
    op.execute(_TWO_PEOPLE.replace(" AND NOT kyc.is_void(a.approved_by::text, a.at)", ""))
    op.execute(
        """
        ALTER TABLE kyc.approvals DROP CONSTRAINT approvals_pkey,
            ADD CONSTRAINT approvals_pkey PRIMARY KEY (user_id, version, approved_by, tier);
        DROP FUNCTION kyc.is_void;
        DROP TABLE kyc.void_approvals;
        DROP FUNCTION kyc.refuse_reviving;
        """
    )
