"""What others noticed about customers; rules may read it."""

from alembic import op

revision = "0008"
down_revision = "0007"

_SIGNALS = """
CREATE TABLE fraud.signals (
    user_id uuid NOT NULL,
    kind text NOT NULL,
    source_id uuid NOT NULL,
    at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT signals_pkey PRIMARY KEY (user_id, kind, source_id),
    CONSTRAINT signals_kind_known CHECK (kind IN ('document_shared'))
);
CREATE FUNCTION fraud.refuse_signal_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% accepts INSERT only', TG_TABLE_NAME
        USING ERRCODE = 'check_violation', CONSTRAINT = 'signals_append_only';
END
$$;
CREATE TRIGGER signals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fraud.signals
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_signal_change();
GRANT SELECT, INSERT ON fraud.signals TO tallystick_fraud;
"""


def upgrade() -> None:
    op.execute(_SIGNALS)


def downgrade() -> None:
    op.execute("DROP TABLE fraud.signals")
    op.execute("DROP FUNCTION fraud.refuse_signal_change")
