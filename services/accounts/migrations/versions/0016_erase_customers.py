"""A closed customer's personal data is erased: his key is destroyed, and with it whatever was sealed under it."""

from alembic import op

revision = "0016"
down_revision = "0015"

_ERASE = """
CREATE FUNCTION accounts.erase_customer(erased uuid, closed_before timestamptz, moment timestamptz) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    customer accounts.customers;
BEGIN
    SELECT * INTO customer FROM accounts.customers WHERE user_id = erased FOR NO KEY UPDATE;
    IF NOT FOUND THEN RETURN 'unknown'; END IF;
    IF customer.erased_at IS NOT NULL THEN RETURN 'erased'; END IF;
    IF customer.status <> 'closed' THEN RETURN 'open'; END IF;
    IF customer.changed_at > closed_before THEN RETURN 'retained'; END IF;
    UPDATE accounts.customers SET personal_key = NULL, email_hash = NULL, email_sealed = NULL, full_name_sealed = NULL,
        email = NULL, full_name = NULL, password_hash = 'erased', erased_at = moment WHERE user_id = erased;
    UPDATE accounts.accounts SET name = NULL, metadata = '{}' WHERE owner_id = erased;
    DELETE FROM accounts.sessions WHERE user_id = erased;
    DELETE FROM accounts.email_verifications WHERE user_id = erased;
    DELETE FROM accounts.password_resets WHERE user_id = erased;
    DELETE FROM accounts.recovery_codes WHERE user_id = erased;
    DELETE FROM accounts.authenticators WHERE user_id = erased;
    -- What he was answered repeats what he wrote.
    DELETE FROM accounts.kept_answers WHERE principal_id = erased;
    RETURN 'done';
END
$$;
-- Who was erased cannot be brought back: nobody could tell any more whether it is he.
CREATE OR REPLACE FUNCTION accounts.restore_customer(restored uuid, moment timestamptz) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    UPDATE accounts.customers SET deleted_at = NULL, status = 'active', version = version + 1, changed_at = moment
    WHERE user_id = restored AND status = 'closed' AND erased_at IS NULL;
    RETURN FOUND;
END
$$;
REVOKE ALL ON FUNCTION accounts.erase_customer FROM PUBLIC;
GRANT EXECUTE ON FUNCTION accounts.erase_customer TO tallystick_accounts;
"""


def upgrade() -> None:
    op.execute(_ERASE)


def downgrade() -> None:
    op.execute("DROP FUNCTION accounts.erase_customer")
