"""Repairs of accounts: who had a row set back to what its records prove, and why."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE ledger.repairs (
            shard integer NOT NULL,
            journal_index bigint NOT NULL,
            account_id uuid NOT NULL,
            actor_id uuid,
            reason text NOT NULL,
            salt text NOT NULL,
            repaired_at timestamptz NOT NULL,
            CONSTRAINT repairs_pkey PRIMARY KEY (shard, journal_index),
            CONSTRAINT repairs_account_known FOREIGN KEY (account_id) REFERENCES ledger.accounts
        );
        CREATE TRIGGER repairs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.repairs
            FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
        GRANT SELECT, INSERT ON ledger.repairs TO tallystick_ledger;
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE ledger.repairs")
