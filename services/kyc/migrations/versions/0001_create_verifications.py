"""One row a customer, one event a change."""

from alembic import op

from libs.common.db.shared_tables import dead_letters_sql, outbox_sql

revision = "0001"
down_revision = None

_VERIFICATIONS = """
CREATE TABLE kyc.verifications (
    user_id uuid NOT NULL,
    status text NOT NULL,
    tier smallint NOT NULL,
    version bigint NOT NULL,
    full_name text NOT NULL,
    birth_date date NOT NULL,
    country text NOT NULL,
    submitted_at timestamptz NOT NULL,
    decided_at timestamptz,
    decided_by uuid,
    reason text NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT verifications_pkey PRIMARY KEY (user_id),
    CONSTRAINT verifications_status_known CHECK (status IN ('in_review', 'approved', 'rejected')),
    CONSTRAINT verifications_tier_fits_status CHECK ((tier BETWEEN 1 AND 3) = (status = 'approved') AND tier >= 0),
    CONSTRAINT verifications_version_positive CHECK (version >= 1),
    CONSTRAINT verifications_full_name_bounded CHECK (char_length(full_name) BETWEEN 1 AND 200),
    CONSTRAINT verifications_country_shape CHECK (country ~ '^[A-Z]{2}$'),
    CONSTRAINT verifications_reason_bounded CHECK (char_length(reason) <= 500),
    CONSTRAINT verifications_decision_complete CHECK (
        (status = 'in_review') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)),
    CONSTRAINT verifications_reviewed_by_another CHECK (decided_by <> user_id)
);
CREATE INDEX verifications_changed ON kyc.verifications (changed_at, user_id);

CREATE TABLE kyc.verification_events (
    user_id uuid NOT NULL,
    version bigint NOT NULL,
    from_status text NOT NULL,
    to_status text NOT NULL,
    actor_id uuid NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT verification_events_pkey PRIMARY KEY (user_id, version),
    CONSTRAINT verification_events_move_known CHECK ((from_status, to_status) IN (
        ('none', 'in_review'), ('in_review', 'approved'), ('in_review', 'rejected'), ('rejected', 'in_review'),
        ('approved', 'rejected')))
);

CREATE FUNCTION kyc.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% accepts INSERT only', TG_TABLE_NAME
        USING ERRCODE = 'check_violation', CONSTRAINT = 'verification_events_append_only';
END
$$;
CREATE TRIGGER verification_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON kyc.verification_events
    FOR EACH STATEMENT EXECUTE FUNCTION kyc.refuse_change();

GRANT SELECT, INSERT, UPDATE ON kyc.verifications TO tallystick_kyc;
GRANT SELECT, INSERT ON kyc.verification_events TO tallystick_kyc;
"""


def upgrade() -> None:
    op.execute(_VERIFICATIONS)
    op.execute(outbox_sql("kyc"))
    op.execute(dead_letters_sql("kyc"))


def downgrade() -> None:
    op.execute(
        """
        DROP TABLE kyc.verification_events, kyc.verifications, kyc.dead_letters, kyc.outbox, kyc.outbox_lease;
        DROP FUNCTION kyc.refuse_change;
        """
    )
