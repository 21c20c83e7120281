"""Keep authenticators, sealed, and the hashes of recovery codes."""

from alembic import op

revision = "0013"
down_revision = "0012"

_SECOND_FACTORS = """
CREATE TABLE accounts.authenticators (
    user_id uuid NOT NULL,
    sealed_secret bytea NOT NULL,
    confirmed_at timestamptz,
    last_step bigint NOT NULL DEFAULT -1,
    CONSTRAINT authenticators_pkey PRIMARY KEY (user_id),
    CONSTRAINT authenticators_user_known FOREIGN KEY (user_id) REFERENCES accounts.customers (user_id),
    CONSTRAINT authenticators_secret_bounded CHECK (octet_length(sealed_secret) BETWEEN 28 AND 200),
    CONSTRAINT authenticators_confirmed_by_code CHECK (confirmed_at IS NULL OR last_step >= 0)
);

CREATE TABLE accounts.recovery_codes (
    user_id uuid NOT NULL,
    code_hash bytea NOT NULL,
    used_at timestamptz,
    CONSTRAINT recovery_codes_pkey PRIMARY KEY (user_id, code_hash),
    CONSTRAINT recovery_codes_user_known FOREIGN KEY (user_id) REFERENCES accounts.authenticators (user_id),
    CONSTRAINT recovery_codes_sha256 CHECK (octet_length(code_hash) = 32)
);

-- A time step is used once, and none before it ever again.
CREATE FUNCTION accounts.refuse_earlier_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a time step before the last one is not used again'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'authenticators_step_grows';
END
$$;
CREATE TRIGGER authenticators_step_grows BEFORE UPDATE ON accounts.authenticators FOR EACH ROW
    WHEN (NEW.last_step < OLD.last_step) EXECUTE FUNCTION accounts.refuse_earlier_step();

GRANT SELECT, INSERT, UPDATE, DELETE ON accounts.authenticators, accounts.recovery_codes TO tallystick_accounts;
"""


def upgrade() -> None:
    op.execute(_SECOND_FACTORS)


def downgrade() -> None:
    op.execute(
        """
        DROP TABLE accounts.recovery_codes, accounts.authenticators;
        DROP FUNCTION accounts.refuse_earlier_step;
        """
    )
