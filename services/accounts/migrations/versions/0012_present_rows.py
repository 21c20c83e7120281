"""This service's role sees present rows alone, whatever it asks: what is deleted stays, behind row security.

Deleting and restoring go through functions that run as the owner; so do the two views for reconciliation, which has to
compare deleted accounts, too, with what other services were told.
"""

from alembic import op

revision = "0012"
down_revision = "0011"

_PRESENT_ROWS = """
ALTER TABLE accounts.customers
    ADD CONSTRAINT customers_deleted_were_closed CHECK (deleted_at IS NULL OR status = 'closed');
ALTER TABLE accounts.accounts ADD COLUMN deleted_at timestamptz;
ALTER TABLE accounts.accounts
    ADD CONSTRAINT accounts_deleted_were_closed CHECK (deleted_at IS NULL OR status = 'closed');

ALTER TABLE accounts.customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY customers_present ON accounts.customers TO tallystick_accounts USING (deleted_at IS NULL);
ALTER TABLE accounts.accounts ENABLE ROW LEVEL SECURITY;
CREATE POLICY accounts_present ON accounts.accounts TO tallystick_accounts USING (deleted_at IS NULL);

CREATE FUNCTION accounts.delete_customer(deleted uuid, moment timestamptz) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    UPDATE accounts.customers SET deleted_at = moment
    WHERE user_id = deleted AND status = 'closed' AND deleted_at IS NULL;
    RETURN FOUND;
END
$$;
CREATE FUNCTION accounts.restore_customer(restored uuid, moment timestamptz) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    UPDATE accounts.customers SET deleted_at = NULL, status = 'active', version = version + 1, changed_at = moment
    WHERE user_id = restored AND status = 'closed';
    RETURN FOUND;
END
$$;
CREATE FUNCTION accounts.delete_account(deleted uuid, moment timestamptz) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    UPDATE accounts.accounts SET deleted_at = moment
    WHERE account_id = deleted AND status = 'closed' AND deleted_at IS NULL;
    RETURN FOUND;
END
$$;
CREATE FUNCTION accounts.restore_account(restored uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    UPDATE accounts.accounts SET deleted_at = NULL WHERE account_id = restored AND deleted_at IS NOT NULL;
    RETURN FOUND;
END
$$;
REVOKE ALL ON FUNCTION accounts.delete_customer, accounts.restore_customer, accounts.delete_account,
    accounts.restore_account FROM PUBLIC;
GRANT EXECUTE ON FUNCTION accounts.delete_customer, accounts.restore_customer, accounts.delete_account,
    accounts.restore_account TO tallystick_accounts;

CREATE VIEW accounts.accounts_as_told AS
    SELECT account_id, owner_id, asset, account_number, status, ledger_status FROM accounts.accounts;
CREATE VIEW accounts.profiles_as_told AS SELECT user_id, profile FROM accounts.customers;
GRANT SELECT ON accounts.accounts_as_told, accounts.profiles_as_told TO tallystick_accounts;
"""


def upgrade() -> None:
    op.execute(_PRESENT_ROWS)


def downgrade() -> None:
    op.execute(
        """
        DROP VIEW accounts.accounts_as_told, accounts.profiles_as_told;
        DROP FUNCTION accounts.delete_customer, accounts.restore_customer, accounts.delete_account,
            accounts.restore_account;
        DROP POLICY customers_present ON accounts.customers;
        DROP POLICY accounts_present ON accounts.accounts;
        ALTER TABLE accounts.customers DISABLE ROW LEVEL SECURITY, DROP CONSTRAINT customers_deleted_were_closed;
        ALTER TABLE accounts.accounts DISABLE ROW LEVEL SECURITY, DROP COLUMN deleted_at;
        """
    )
