"""More may become of an application: information is asked for, an approval is suspended, a rejection is final.

The database knows the moves as the domain does, from now on also those of the row itself. Events of the version before
have no action; it may still write such ones while the new version starts.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

_STATES = """
ALTER TABLE kyc.verifications
    DROP CONSTRAINT verifications_status_known,
    ADD CONSTRAINT verifications_status_known CHECK (
        status IN ('in_review', 'needs_info', 'approved', 'suspended', 'rejected')),
    ADD COLUMN kept_tier smallint NOT NULL DEFAULT 0,
    ADD COLUMN may_retry boolean NOT NULL DEFAULT true,
    ADD COLUMN rejection_code text NOT NULL DEFAULT '',
    ADD COLUMN needs text[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT verifications_kept_tier_fits_status CHECK (
        (kept_tier BETWEEN 1 AND 3) = (status = 'suspended') AND kept_tier >= 0),
    ADD CONSTRAINT verifications_rejection_code_bounded CHECK (char_length(rejection_code) <= 40),
    ADD CONSTRAINT verifications_needs_fit_status CHECK (
        (cardinality(needs) BETWEEN 1 AND 5) = (status = 'needs_info') AND cardinality(needs) <= 5);

ALTER TABLE kyc.verification_events
    ADD COLUMN action text,
    ADD COLUMN tier smallint,
    ADD COLUMN code text NOT NULL DEFAULT '',
    DROP CONSTRAINT verification_events_move_known,
    ADD CONSTRAINT verification_events_move_known CHECK (
        (from_status, to_status, coalesce(action, CASE to_status
            WHEN 'in_review' THEN 'apply' WHEN 'approved' THEN 'approve' ELSE 'reject' END)) IN (
            ('none', 'in_review', 'apply'), ('in_review', 'approved', 'approve'), ('in_review', 'rejected', 'reject'),
            ('in_review', 'needs_info', 'ask'), ('needs_info', 'in_review', 'apply'),
            ('needs_info', 'in_review', 'provide'), ('needs_info', 'rejected', 'reject'),
            ('approved', 'approved', 'approve'), ('approved', 'rejected', 'reject'),
            ('approved', 'suspended', 'suspend'), ('suspended', 'approved', 'resume'),
            ('suspended', 'rejected', 'reject'), ('rejected', 'in_review', 'apply'))),
    ADD CONSTRAINT verification_events_tier_known CHECK (
        action IS NULL OR (tier BETWEEN 1 AND 3) = (to_status = 'approved') AND tier >= 0),
    ADD CONSTRAINT verification_events_code_bounded CHECK (char_length(code) <= 40),
    ADD CONSTRAINT verification_events_by_another CHECK (
        action IS NULL OR (action IN ('apply', 'provide')) = (actor_id = user_id));

CREATE FUNCTION kyc.require_legal_move() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    broken text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'in_review' OR NEW.version <> 1 THEN
            broken := 'verifications_move_known';
        END IF;
    ELSIF NEW.version = OLD.version THEN
        IF (NEW.status, NEW.tier, NEW.kept_tier, NEW.may_retry, NEW.needs)
            <> (OLD.status, OLD.tier, OLD.kept_tier, OLD.may_retry, OLD.needs) THEN
            broken := 'verifications_version_counts_states';
        END IF;
    ELSIF NEW.version <> OLD.version + 1 THEN
        broken := 'verifications_version_counts_states';
    ELSIF (OLD.status, NEW.status) NOT IN (
        ('in_review', 'approved'), ('in_review', 'rejected'), ('in_review', 'needs_info'),
        ('needs_info', 'in_review'), ('needs_info', 'rejected'), ('approved', 'approved'), ('approved', 'rejected'),
        ('approved', 'suspended'), ('suspended', 'approved'), ('suspended', 'rejected'), ('rejected', 'in_review')) THEN
        broken := 'verifications_move_known';
    ELSIF OLD.status = 'rejected' AND NOT OLD.may_retry THEN
        broken := 'verifications_rejection_final';
    ELSIF OLD.status = 'approved' AND NEW.status = 'approved' AND NEW.tier = OLD.tier THEN
        broken := 'verifications_move_known';
    ELSIF OLD.status = 'suspended' AND NEW.status = 'approved' AND NEW.tier <> OLD.kept_tier
        OR NEW.status = 'suspended' AND NEW.kept_tier <> OLD.tier THEN
        broken := 'verifications_kept_tier_comes_back';
    END IF;
    IF broken IS NOT NULL THEN
        RAISE EXCEPTION 'a verification does not become % from % version %', NEW.status,
            CASE TG_OP WHEN 'INSERT' THEN 'none' ELSE OLD.status END, NEW.version
            USING ERRCODE = 'check_violation', CONSTRAINT = broken;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER verifications_move_known AFTER INSERT OR UPDATE ON kyc.verifications
    FOR EACH ROW EXECUTE FUNCTION kyc.require_legal_move();
"""


def upgrade() -> None:
    op.execute(_STATES)


def downgrade() -> None:
    raise NotImplementedError("there may be verifications in states that the version before does not know")
