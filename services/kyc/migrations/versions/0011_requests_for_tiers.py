"""Approved customers ask for a higher tier, and keep what they have until it is decided.

The states are two more of the same row: others are told that he is approved. The version before does not know them, so
let none of its processes run once customers ask.
"""

from alembic import op

revision = "0011"
down_revision = "0010"

_STATES = """
ALTER TABLE kyc.verifications
    ADD COLUMN requested_tier smallint NOT NULL DEFAULT 0,
    DROP CONSTRAINT verifications_status_known,
    DROP CONSTRAINT verifications_tier_fits_status,
    DROP CONSTRAINT verifications_needs_fit_status,
    DROP CONSTRAINT verifications_claimed_in_review,
    ADD CONSTRAINT verifications_status_known CHECK (status IN (
        'in_review', 'needs_info', 'approved', 'tier_in_review', 'tier_needs_info', 'suspended', 'rejected')),
    ADD CONSTRAINT verifications_tier_fits_status CHECK (
        (tier BETWEEN 1 AND 3) = (status IN ('approved', 'tier_in_review', 'tier_needs_info')) AND tier >= 0),
    ADD CONSTRAINT verifications_needs_fit_status CHECK (
        (cardinality(needs) BETWEEN 1 AND 5) = (status IN ('needs_info', 'tier_needs_info'))
        AND cardinality(needs) <= 5),
    ADD CONSTRAINT verifications_claimed_in_review CHECK (
        claimed_by IS NULL OR status IN ('in_review', 'tier_in_review')),
    ADD CONSTRAINT verifications_requested_tier_is_higher CHECK (
        CASE WHEN status IN ('tier_in_review', 'tier_needs_info') THEN requested_tier > tier AND requested_tier <= 3
            ELSE requested_tier = 0 END);
CREATE INDEX verifications_waiting ON kyc.verifications (queue_position)
    WHERE status IN ('in_review', 'tier_in_review');

ALTER TABLE kyc.verification_events
    ADD COLUMN requested_tier smallint NOT NULL DEFAULT 0,
    DROP CONSTRAINT verification_events_move_known,
    DROP CONSTRAINT verification_events_tier_known,
    DROP CONSTRAINT verification_events_by_another,
    DROP CONSTRAINT verification_events_reason_given,
    ADD CONSTRAINT verification_events_move_known CHECK (
        (from_status, to_status, coalesce(action, CASE to_status
            WHEN 'in_review' THEN 'apply' WHEN 'approved' THEN 'approve' ELSE 'reject' END)) IN (
            ('none', 'in_review', 'apply'), ('in_review', 'approved', 'approve'), ('in_review', 'rejected', 'reject'),
            ('in_review', 'needs_info', 'ask'), ('needs_info', 'in_review', 'apply'),
            ('needs_info', 'in_review', 'provide'), ('needs_info', 'rejected', 'reject'),
            ('approved', 'approved', 'approve'), ('approved', 'rejected', 'reject'),
            ('approved', 'suspended', 'suspend'), ('approved', 'tier_in_review', 'request'),
            ('approved', 'tier_needs_info', 'prepare'), ('tier_needs_info', 'tier_in_review', 'provide'),
            ('tier_needs_info', 'approved', 'withdraw'), ('tier_needs_info', 'approved', 'decline'),
            ('tier_needs_info', 'suspended', 'suspend'), ('tier_in_review', 'approved', 'approve'),
            ('tier_in_review', 'approved', 'decline'), ('tier_in_review', 'tier_needs_info', 'ask'),
            ('tier_in_review', 'approved', 'withdraw'), ('tier_in_review', 'suspended', 'suspend'),
            ('suspended', 'approved', 'resume'), ('suspended', 'rejected', 'reject'),
            ('rejected', 'in_review', 'apply'))),
    ADD CONSTRAINT verification_events_tier_known CHECK (action IS NULL OR
        (tier BETWEEN 1 AND 3) = (to_status IN ('approved', 'tier_in_review', 'tier_needs_info')) AND tier >= 0),
    ADD CONSTRAINT verification_events_by_another CHECK (action IS NULL OR
        (action IN ('apply', 'provide', 'request', 'prepare', 'withdraw')) = (actor_id = user_id)),
    ADD CONSTRAINT verification_events_reason_given CHECK (
        action IS NULL OR action NOT IN ('reject', 'decline', 'ask', 'suspend', 'resume') OR reason <> '');

CREATE OR REPLACE FUNCTION kyc.require_legal_move() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    broken text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'in_review' OR NEW.version <> 1 THEN
            broken := 'verifications_move_known';
        END IF;
    ELSIF NEW.version = OLD.version THEN
        IF (NEW.status, NEW.tier, NEW.kept_tier, NEW.may_retry, NEW.needs, NEW.requested_tier)
            <> (OLD.status, OLD.tier, OLD.kept_tier, OLD.may_retry, OLD.needs, OLD.requested_tier) THEN
            broken := 'verifications_version_counts_states';
        END IF;
    ELSIF NEW.version <> OLD.version + 1 THEN
        broken := 'verifications_version_counts_states';
    ELSIF (OLD.status, NEW.status) NOT IN (
        ('in_review', 'approved'), ('in_review', 'rejected'), ('in_review', 'needs_info'),
        ('needs_info', 'in_review'), ('needs_info', 'rejected'), ('approved', 'approved'), ('approved', 'rejected'),
        ('approved', 'suspended'), ('approved', 'tier_in_review'), ('approved', 'tier_needs_info'),
        ('tier_needs_info', 'tier_in_review'), ('tier_needs_info', 'approved'), ('tier_needs_info', 'suspended'),
        ('tier_in_review', 'approved'), ('tier_in_review', 'tier_needs_info'), ('tier_in_review', 'suspended'),
        ('suspended', 'approved'), ('suspended', 'rejected'), ('rejected', 'in_review')) THEN
        broken := 'verifications_move_known';
    ELSIF OLD.status = 'rejected' AND NOT OLD.may_retry THEN
        broken := 'verifications_rejection_final';
    ELSIF OLD.status = 'approved' AND NEW.status = 'approved' AND NEW.tier = OLD.tier THEN
        broken := 'verifications_move_known';
    ELSIF OLD.status = 'suspended' AND NEW.status = 'approved' AND NEW.tier <> OLD.kept_tier
        OR NEW.status = 'suspended' AND NEW.kept_tier <> OLD.tier THEN
        broken := 'verifications_kept_tier_comes_back';
    ELSIF OLD.status = 'tier_in_review' AND NEW.status = 'approved' AND NEW.tier < OLD.tier
        OR OLD.status = 'tier_needs_info' AND NEW.status = 'approved' AND NEW.tier <> OLD.tier
        OR NEW.status IN ('tier_in_review', 'tier_needs_info') AND NEW.tier <> OLD.tier
        OR OLD.requested_tier > 0 AND NEW.requested_tier > 0 AND NEW.requested_tier <> OLD.requested_tier THEN
        broken := 'verifications_request_never_lowers';
    END IF;
    IF broken IS NOT NULL THEN
        RAISE EXCEPTION 'a verification does not become % from % version %', NEW.status,
            CASE TG_OP WHEN 'INSERT' THEN 'none' ELSE OLD.status END, NEW.version
            USING ERRCODE = 'check_violation', CONSTRAINT = broken;
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION kyc.require_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM kyc.verification_events e
        WHERE e.user_id = NEW.user_id AND e.version = NEW.version
            AND e.from_status = CASE TG_OP WHEN 'INSERT' THEN 'none' ELSE OLD.status END
            AND e.to_status = NEW.status
            AND coalesce(e.tier, NEW.tier) = NEW.tier
            AND e.requested_tier = NEW.requested_tier) THEN
        RAISE EXCEPTION 'version % of a verification has no event that says so', NEW.version
            USING ERRCODE = 'check_violation', CONSTRAINT = 'verifications_have_events';
    END IF;
    RETURN NULL;
END
$$;
"""

_GUARDS = """
DROP TRIGGER verifications_two_people ON kyc.verifications;
CREATE TRIGGER verifications_two_people AFTER UPDATE ON kyc.verifications FOR EACH ROW
    WHEN (NEW.status = 'approved' AND NEW.version <> OLD.version AND (
        OLD.status IN ('in_review', 'approved') OR OLD.status = 'tier_in_review' AND NEW.tier <> OLD.tier))
    EXECUTE FUNCTION kyc.require_two_people();

DROP TRIGGER verifications_retried_in_time ON kyc.verifications;
CREATE TRIGGER verifications_retried_in_time AFTER UPDATE ON kyc.verifications FOR EACH ROW
    WHEN (NEW.version <> OLD.version AND NEW.changed_at < OLD.retry_at AND (
        OLD.status = 'rejected'
        OR OLD.status = 'approved' AND NEW.status IN ('tier_in_review', 'tier_needs_info')))
    EXECUTE FUNCTION kyc.require_waiting();

CREATE OR REPLACE FUNCTION kyc.require_documents() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wanted_tier smallint := CASE NEW.status WHEN 'approved' THEN NEW.tier ELSE NEW.requested_tier END;
    of_tier text[] := CASE wanted_tier
        WHEN 2 THEN ARRAY['identity_front', 'identity_back', 'tax_number']
        WHEN 3 THEN ARRAY['identity_front', 'identity_back', 'tax_number', 'proof_of_address']
        ELSE ARRAY[]::text[]
    END;
    asked text[] := CASE NEW.status
        WHEN 'approved' THEN ARRAY[]::text[]
        ELSE array_remove(OLD.needs, 'application')
    END;
BEGIN
    IF EXISTS (
        SELECT FROM (
            SELECT kind, '-infinity'::timestamptz AS since FROM unnest(of_tier) AS one (kind)
            UNION ALL SELECT kind, OLD.changed_at FROM unnest(asked) AS one (kind)) wanted
        WHERE NOT EXISTS (
            SELECT FROM kyc.documents d
            WHERE d.user_id = NEW.user_id AND d.kind = wanted.kind AND d.status = 'stored'
                AND d.created_at >= wanted.since)) THEN
        RAISE EXCEPTION 'documents that this takes are not there'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'verifications_documents_there';
    END IF;
    RETURN NULL;
END
$$;
DROP TRIGGER verifications_documents_there ON kyc.verifications;
CREATE TRIGGER verifications_documents_there AFTER UPDATE ON kyc.verifications FOR EACH ROW
    WHEN (NEW.version <> OLD.version AND (
        NEW.status = 'approved' AND (
            OLD.status IN ('in_review', 'approved') OR OLD.status = 'tier_in_review' AND NEW.tier <> OLD.tier)
        OR NEW.status = 'in_review' AND OLD.status = 'needs_info'
        OR NEW.status = 'tier_in_review'))
    EXECUTE FUNCTION kyc.require_documents();
"""


def upgrade() -> None:
    op.execute(_STATES)
    op.execute(_GUARDS)


def downgrade() -> None:
    raise NotImplementedError("there may be verifications in states that the version before does not know")
