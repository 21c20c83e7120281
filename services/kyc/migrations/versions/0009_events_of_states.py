"""No state without its event, and no decision against a customer without a reason.

What commits together is asked for as it commits, so that row and event may be written in either order. Events of the
version before 0005 have no action and no tier; they are compared in what they have.
"""

from alembic import op

revision = "0009"
down_revision = "0008"

_EVENTS = """
CREATE FUNCTION kyc.require_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM kyc.verification_events e
        WHERE e.user_id = NEW.user_id AND e.version = NEW.version
            AND e.from_status = CASE TG_OP WHEN 'INSERT' THEN 'none' ELSE OLD.status END
            AND e.to_status = NEW.status
            AND coalesce(e.tier, NEW.tier) = NEW.tier) THEN
        RAISE EXCEPTION 'version % of a verification has no event that says so', NEW.version
            USING ERRCODE = 'check_violation', CONSTRAINT = 'verifications_have_events';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER verifications_have_events AFTER INSERT OR UPDATE OF version ON kyc.verifications
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION kyc.require_event();

ALTER TABLE kyc.verification_events ADD CONSTRAINT verification_events_reason_given CHECK (
    action IS NULL OR action NOT IN ('reject', 'ask', 'suspend', 'resume') OR reason <> '');
"""


def upgrade() -> None:
    op.execute(_EVENTS)


def downgrade() -> None:
    op.execute("ALTER TABLE kyc.verification_events DROP CONSTRAINT verification_events_reason_given")
    op.execute("DROP TRIGGER verifications_have_events ON kyc.verifications")
    op.execute("DROP FUNCTION kyc.require_event")
