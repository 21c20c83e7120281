"""What was decided on captures and reversals: one decision each, for ever, which a repetition gets again."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_DECISIONS = """
CREATE TABLE fraud.command_decisions (
    command_id uuid NOT NULL,
    transfer_id uuid NOT NULL,
    actor_id uuid NOT NULL,
    command text NOT NULL,
    code text NOT NULL,
    denied_by uuid[] NOT NULL,
    decided_at timestamptz NOT NULL,
    CONSTRAINT command_decisions_pkey PRIMARY KEY (command_id),
    CONSTRAINT command_decisions_command_known CHECK (command IN ('capture', 'reversal')),
    CONSTRAINT command_decisions_code_known CHECK (code IN ('', 'transfer_not_permitted')),
    CONSTRAINT command_decisions_refused_by_entries CHECK ((code <> '') = (cardinality(denied_by) > 0))
);
COMMENT ON TABLE fraud.command_decisions IS
    'Captures and reversals: whether who asked was frozen or denied, and by which entries of lists.';
CREATE TRIGGER command_decisions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fraud.command_decisions
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change();
GRANT SELECT, INSERT ON fraud.command_decisions TO tallystick_fraud;
"""


def upgrade() -> None:
    op.execute(_DECISIONS)


def downgrade() -> None:
    op.execute("DROP TABLE fraud.command_decisions")
