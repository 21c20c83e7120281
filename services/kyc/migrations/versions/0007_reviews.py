"""Reviewers take applications from a queue for a while, and it takes two to approve whom compliance flagged."""

from alembic import op

revision = "0007"
down_revision = "0006"

_QUEUE = """
CREATE SEQUENCE kyc.verification_changes;
GRANT USAGE ON SEQUENCE kyc.verification_changes TO tallystick_kyc;
ALTER TABLE kyc.verifications
    ADD COLUMN queue_position bigint,
    ADD COLUMN claimed_by uuid,
    ADD COLUMN claimed_until timestamptz,
    ADD COLUMN high_risk boolean NOT NULL DEFAULT false,
    ADD COLUMN risk_set_by uuid,
    ADD CONSTRAINT verifications_claim_whole CHECK (num_nonnulls(claimed_by, claimed_until) <> 1),
    ADD CONSTRAINT verifications_claimed_in_review CHECK (claimed_by IS NULL OR status = 'in_review'),
    ADD CONSTRAINT verifications_claimed_by_another CHECK (claimed_by <> user_id),
    ADD CONSTRAINT verifications_risk_set_by_another CHECK (risk_set_by <> user_id),
    ADD CONSTRAINT verifications_high_risk_set_by_somebody CHECK (NOT high_risk OR risk_set_by IS NOT NULL);
WITH ordered AS (
    SELECT user_id, row_number() OVER (ORDER BY changed_at, user_id) AS position FROM kyc.verifications
)
UPDATE kyc.verifications v SET queue_position = ordered.position FROM ordered WHERE ordered.user_id = v.user_id;
SELECT setval('kyc.verification_changes', (SELECT count(*) + 1 FROM kyc.verifications));
ALTER TABLE kyc.verifications ALTER COLUMN queue_position SET NOT NULL;
CREATE INDEX verifications_queue ON kyc.verifications (status, queue_position);

CREATE FUNCTION kyc.queue_verification() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.version <> OLD.version THEN
        NEW.queue_position := nextval('kyc.verification_changes');
        NEW.claimed_by := NULL;
        NEW.claimed_until := NULL;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER verifications_queued BEFORE INSERT OR UPDATE ON kyc.verifications
    FOR EACH ROW EXECUTE FUNCTION kyc.queue_verification();
"""

_TWO_PEOPLE = """
CREATE TABLE kyc.approvals (
    user_id uuid NOT NULL,
    version bigint NOT NULL,
    approved_by uuid NOT NULL,
    tier smallint NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT approvals_pkey PRIMARY KEY (user_id, version, approved_by, tier),
    CONSTRAINT approvals_user_known FOREIGN KEY (user_id) REFERENCES kyc.verifications,
    CONSTRAINT approvals_by_another CHECK (approved_by <> user_id),
    CONSTRAINT approvals_tier_known CHECK (tier BETWEEN 1 AND 3),
    CONSTRAINT approvals_reason_bounded CHECK (char_length(reason) <= 500)
);
CREATE TABLE kyc.risk_changes (
    change_id uuid NOT NULL,
    user_id uuid NOT NULL,
    high_risk boolean NOT NULL,
    actor_id uuid NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT risk_changes_pkey PRIMARY KEY (change_id),
    CONSTRAINT risk_changes_user_known FOREIGN KEY (user_id) REFERENCES kyc.verifications,
    CONSTRAINT risk_changes_by_another CHECK (actor_id <> user_id),
    CONSTRAINT risk_changes_reason_bounded CHECK (char_length(reason) BETWEEN 1 AND 500)
);
CREATE INDEX risk_changes_of_user ON kyc.risk_changes (user_id, change_id);

CREATE FUNCTION kyc.refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% accepts INSERT only', TG_TABLE_NAME USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END
$$;
CREATE TRIGGER approvals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON kyc.approvals
    FOR EACH STATEMENT EXECUTE FUNCTION kyc.refuse_rewriting();
CREATE TRIGGER risk_changes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON kyc.risk_changes
    FOR EACH STATEMENT EXECUTE FUNCTION kyc.refuse_rewriting();
GRANT SELECT, INSERT ON kyc.approvals, kyc.risk_changes TO tallystick_kyc;

CREATE FUNCTION kyc.require_two_people() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.high_risk AND NOT EXISTS (
            SELECT 1 FROM kyc.approvals a
            WHERE a.user_id = NEW.user_id AND a.version = OLD.version AND a.tier = NEW.tier
                AND a.approved_by <> NEW.decided_by)
        OR NOT OLD.high_risk AND NEW.decided_by IS NOT DISTINCT FROM OLD.risk_set_by THEN
        RAISE EXCEPTION 'it takes two to approve this applicant'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'verifications_two_people';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER verifications_two_people AFTER UPDATE ON kyc.verifications FOR EACH ROW
    WHEN (NEW.status = 'approved' AND OLD.status IN ('in_review', 'approved') AND NEW.version <> OLD.version)
    EXECUTE FUNCTION kyc.require_two_people();
"""


def upgrade() -> None:
    op.execute(_QUEUE)
    op.execute(_TWO_PEOPLE)


def downgrade() -> None:
    op.execute(
        """
        DROP TRIGGER verifications_two_people ON kyc.verifications;
        DROP TRIGGER verifications_queued ON kyc.verifications;
        DROP FUNCTION kyc.require_two_people, kyc.queue_verification;
        DROP TABLE kyc.approvals, kyc.risk_changes;
        DROP FUNCTION kyc.refuse_rewriting;
        ALTER TABLE kyc.verifications DROP COLUMN queue_position, DROP COLUMN claimed_by, DROP COLUMN claimed_until,
            DROP COLUMN high_risk, DROP COLUMN risk_set_by;
        DROP SEQUENCE kyc.verification_changes;
        """
    )
