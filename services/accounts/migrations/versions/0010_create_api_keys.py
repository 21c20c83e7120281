"""API keys, and customers that are machines: no password opens them, only their keys do."""

from alembic import op

revision = "0010"
down_revision = "0009"

# A machine is a customer like any other to whoever moves money, screens it or keeps accounts.
_API_KEYS = """
ALTER TABLE accounts.customers
    ADD COLUMN kind text NOT NULL DEFAULT 'person',
    ADD CONSTRAINT customers_kind_known CHECK (kind IN ('person', 'machine')),
    ADD CONSTRAINT customers_machine_no_admin CHECK (kind = 'person' OR NOT 'admin' = ANY (roles));

CREATE TABLE accounts.service_accounts (
    user_id uuid NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    created_by uuid NOT NULL,
    CONSTRAINT service_accounts_pkey PRIMARY KEY (user_id),
    CONSTRAINT service_accounts_user_known FOREIGN KEY (user_id) REFERENCES accounts.customers (user_id),
    CONSTRAINT service_accounts_name_bounded CHECK (char_length(name) BETWEEN 1 AND 140)
);

CREATE TABLE accounts.api_keys (
    key_id uuid NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    secret_sha256 bytea NOT NULL,
    scopes text[] NOT NULL,
    networks text[] NOT NULL,
    created_at timestamptz NOT NULL,
    created_by uuid NOT NULL,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT api_keys_pkey PRIMARY KEY (key_id),
    CONSTRAINT api_keys_user_known FOREIGN KEY (user_id) REFERENCES accounts.customers (user_id),
    CONSTRAINT api_keys_secret_sha256 CHECK (octet_length(secret_sha256) = 32),
    CONSTRAINT api_keys_name_bounded CHECK (char_length(name) BETWEEN 1 AND 140),
    CONSTRAINT api_keys_scopes_some CHECK (cardinality(scopes) BETWEEN 1 AND 50),
    CONSTRAINT api_keys_networks_bounded CHECK (cardinality(networks) <= 20),
    CONSTRAINT api_keys_expire_later CHECK (expires_at > created_at)
);
CREATE INDEX api_keys_user ON accounts.api_keys (user_id, key_id);

-- What a key is worth is fixed when it is made; a revoked one stays so.
CREATE FUNCTION accounts.refuse_other_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an API key is used and revoked, nothing else about it changes'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'api_keys_fixed';
END
$$;
CREATE TRIGGER api_keys_fixed BEFORE UPDATE ON accounts.api_keys FOR EACH ROW
    WHEN ((NEW.key_id, NEW.user_id, NEW.secret_sha256, NEW.scopes, NEW.networks, NEW.created_at, NEW.created_by)
          IS DISTINCT FROM
          (OLD.key_id, OLD.user_id, OLD.secret_sha256, OLD.scopes, OLD.networks, OLD.created_at, OLD.created_by)
          OR NEW.expires_at IS DISTINCT FROM OLD.expires_at
          OR (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at))
    EXECUTE FUNCTION accounts.refuse_other_key();

GRANT SELECT, INSERT, UPDATE ON accounts.api_keys TO tallystick_accounts;
GRANT SELECT, INSERT ON accounts.service_accounts TO tallystick_accounts;
"""


def upgrade() -> None:
    op.execute(_API_KEYS)


def downgrade() -> None:
    op.execute(
        """
        DROP TABLE accounts.api_keys, accounts.service_accounts;
        DROP FUNCTION accounts.refuse_other_key;
        ALTER TABLE accounts.customers DROP COLUMN kind;
        """
    )
