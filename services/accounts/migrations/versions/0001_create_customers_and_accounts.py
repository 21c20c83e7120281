"""Customers with their sessions, accounts with exactly one primary each, and the log of what staff changed."""

from alembic import op

from libs.common.db.shared_tables import dead_letters_sql, outbox_sql

revision = "0001"
down_revision = None

_CUSTOMERS = """
CREATE TABLE accounts.customers (
    user_id uuid NOT NULL,
    email text NOT NULL,
    password_hash text NOT NULL,
    full_name text NOT NULL,
    roles text[] NOT NULL,
    profile text NOT NULL,
    status text NOT NULL,
    email_verified_at timestamptz,
    version bigint NOT NULL,
    registered_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    deleted_at timestamptz,
    CONSTRAINT customers_pkey PRIMARY KEY (user_id),
    CONSTRAINT customers_email_bounded CHECK (octet_length(email) BETWEEN 3 AND 254),
    CONSTRAINT customers_full_name_bounded CHECK (char_length(full_name) BETWEEN 1 AND 200),
    CONSTRAINT customers_roles_known CHECK (
        roles <@ ARRAY['customer', 'support', 'compliance', 'operator', 'auditor', 'admin']),
    CONSTRAINT customers_profile_known CHECK (profile IN ('retail', 'business')),
    CONSTRAINT customers_status_known CHECK (status IN ('active', 'closed')),
    CONSTRAINT customers_version_positive CHECK (version >= 1)
);
CREATE UNIQUE INDEX customers_email_unique ON accounts.customers (email) WHERE deleted_at IS NULL;
CREATE INDEX customers_changed ON accounts.customers (changed_at, user_id);

CREATE TABLE accounts.sessions (
    session_id uuid NOT NULL,
    user_id uuid NOT NULL,
    family_id uuid NOT NULL,
    refresh_hash bytea NOT NULL,
    issued_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    rotated_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT sessions_pkey PRIMARY KEY (session_id),
    CONSTRAINT sessions_user_known FOREIGN KEY (user_id) REFERENCES accounts.customers (user_id),
    CONSTRAINT sessions_refresh_hash_unique UNIQUE (refresh_hash),
    CONSTRAINT sessions_refresh_hash_sha256 CHECK (octet_length(refresh_hash) = 32),
    CONSTRAINT sessions_expire_later CHECK (expires_at > issued_at)
);
CREATE INDEX sessions_family ON accounts.sessions (family_id);
CREATE INDEX sessions_user ON accounts.sessions (user_id);

GRANT SELECT, INSERT, UPDATE ON accounts.customers, accounts.sessions TO tallystick_accounts;
"""

_ACCOUNTS = """
CREATE SEQUENCE accounts.account_serials AS bigint MINVALUE 1 MAXVALUE 999999999999 NO CYCLE;

CREATE TABLE accounts.accounts (
    account_id uuid NOT NULL,
    account_number text NOT NULL,
    owner_id uuid NOT NULL,
    asset text NOT NULL,
    status text NOT NULL,
    is_primary boolean NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    opened_at timestamptz,
    changed_at timestamptz NOT NULL,
    asks integer NOT NULL DEFAULT 1,
    ask_again_at timestamptz NOT NULL,
    CONSTRAINT accounts_pkey PRIMARY KEY (account_id),
    CONSTRAINT accounts_number_unique UNIQUE (account_number),
    CONSTRAINT accounts_number_shape CHECK (account_number ~ '^TS[0-9]{14}$'),
    CONSTRAINT accounts_owner_known FOREIGN KEY (owner_id) REFERENCES accounts.customers (user_id),
    CONSTRAINT accounts_status_known CHECK (status IN ('opening', 'active', 'closed')),
    CONSTRAINT accounts_active_was_opened CHECK (status <> 'active' OR opened_at IS NOT NULL),
    CONSTRAINT accounts_closed_not_primary CHECK (status <> 'closed' OR NOT is_primary),
    CONSTRAINT accounts_version_positive CHECK (version >= 1),
    CONSTRAINT accounts_asks_positive CHECK (asks >= 1)
);
CREATE UNIQUE INDEX accounts_one_primary ON accounts.accounts (owner_id) WHERE is_primary;
CREATE INDEX accounts_owner ON accounts.accounts (owner_id, account_id);
CREATE INDEX accounts_changed ON accounts.accounts (changed_at, account_id);
CREATE INDEX accounts_still_opening ON accounts.accounts (ask_again_at) WHERE status = 'opening';

-- The index above forbids a second primary; that there is one can only be seen once the transaction is complete.
CREATE FUNCTION accounts.require_primary() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    concerned uuid := CASE WHEN TG_OP = 'DELETE' THEN OLD.owner_id ELSE NEW.owner_id END;
BEGIN
    IF EXISTS (SELECT FROM accounts.accounts WHERE owner_id = concerned AND status <> 'closed')
       AND NOT EXISTS (SELECT FROM accounts.accounts WHERE owner_id = concerned AND is_primary) THEN
        RAISE EXCEPTION 'customer % has accounts and none is primary', concerned
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounts_have_primary';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER accounts_have_primary AFTER INSERT OR DELETE OR UPDATE OF status, is_primary
    ON accounts.accounts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION accounts.require_primary();

-- Who owns an account, its asset and its number are for life: others have been told.
CREATE FUNCTION accounts.refuse_new_identity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an account keeps its owner, asset and number'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'accounts_identity_fixed';
END
$$;
CREATE TRIGGER accounts_identity_fixed BEFORE UPDATE ON accounts.accounts FOR EACH ROW
    WHEN ((NEW.account_id, NEW.owner_id, NEW.asset, NEW.account_number)
          IS DISTINCT FROM (OLD.account_id, OLD.owner_id, OLD.asset, OLD.account_number))
    EXECUTE FUNCTION accounts.refuse_new_identity();

GRANT SELECT, INSERT, UPDATE ON accounts.accounts TO tallystick_accounts;
GRANT USAGE ON SEQUENCE accounts.account_serials TO tallystick_accounts;
"""

_AUDIT_LOG = """
CREATE TABLE accounts.audit_log (
    entry_id uuid NOT NULL,
    at timestamptz NOT NULL,
    actor_id uuid NOT NULL,
    action text NOT NULL,
    subject_id uuid NOT NULL,
    before jsonb NOT NULL,
    after jsonb NOT NULL,
    request_id text NOT NULL,
    CONSTRAINT audit_log_pkey PRIMARY KEY (entry_id)
);
CREATE INDEX audit_log_subject ON accounts.audit_log (subject_id, at);

CREATE FUNCTION accounts.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% accepts INSERT only', TG_TABLE_NAME
        USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_log_append_only';
END
$$;
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON accounts.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION accounts.refuse_change();

GRANT SELECT, INSERT ON accounts.audit_log TO tallystick_accounts;
"""


def upgrade() -> None:
    op.execute(_CUSTOMERS)
    op.execute(_ACCOUNTS)
    op.execute(_AUDIT_LOG)
    op.execute(outbox_sql("accounts"))
    op.execute(dead_letters_sql("accounts"))


def downgrade() -> None:
    op.execute(
        """
        DROP TABLE accounts.audit_log, accounts.accounts, accounts.sessions, accounts.customers,
            accounts.dead_letters, accounts.outbox, accounts.outbox_lease;
        DROP SEQUENCE accounts.account_serials;
        DROP FUNCTION accounts.require_primary, accounts.refuse_new_identity, accounts.refuse_change;
        """
    )
