"""Keep what owners ask to be closed beside what staff command."""

from alembic import op

revision = "0008"
down_revision = "0007"

_SCOPES = "'captures', 'voids', 'reversals', 'account-status', 'account-limits', 'fee-schedules'"


def upgrade() -> None:
    # Not valid: the rows there are were checked by the narrower rule, and need not be read again.
    op.execute(f"""
ALTER TABLE gateway.commands DROP CONSTRAINT commands_scope_known,
    ADD CONSTRAINT commands_scope_known CHECK (scope IN ({_SCOPES}, 'account-closings')) NOT VALID""")


def downgrade() -> None:
    op.execute(f"""
ALTER TABLE gateway.commands DROP CONSTRAINT commands_scope_known,
    ADD CONSTRAINT commands_scope_known CHECK (scope IN ({_SCOPES}))""")
