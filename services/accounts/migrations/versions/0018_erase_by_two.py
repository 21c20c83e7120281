"""Erasing takes two people of the staff, and an e-mail may change once its new mailbox is proved.

Only the function writes who approved, so nothing is erased without a row that names two. It also takes along what
`erase_customer` of the version before left: the names of API keys.
"""

from alembic import op

revision = "0018"
down_revision = "0017"

_ERASURES = """
CREATE TABLE accounts.erasures (
    user_id uuid NOT NULL,
    requested_by uuid NOT NULL,
    requested_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    approved_by uuid,
    erased_at timestamptz,
    CONSTRAINT erasures_pkey PRIMARY KEY (user_id),
    CONSTRAINT erasures_user_known FOREIGN KEY (user_id) REFERENCES accounts.customers (user_id),
    CONSTRAINT erasures_two_people CHECK (approved_by <> requested_by),
    CONSTRAINT erasures_by_others CHECK (user_id NOT IN (requested_by, coalesce(approved_by, requested_by))),
    CONSTRAINT erasures_whole CHECK (num_nonnulls(approved_by, erased_at) IN (0, 2)),
    CONSTRAINT erasures_in_time CHECK (expires_at > requested_at AND erased_at < expires_at)
);
CREATE INDEX erasures_pending ON accounts.erasures (user_id) WHERE erased_at IS NULL;
CREATE INDEX erasures_done ON accounts.erasures (erased_at, user_id) WHERE erased_at IS NOT NULL;

CREATE FUNCTION accounts.refuse_other_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was asked stays as it was until its time is over, and what was done for ever'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'erasures_fixed';
END
$$;
CREATE TRIGGER erasures_fixed BEFORE UPDATE ON accounts.erasures FOR EACH ROW
    WHEN (OLD.erased_at IS NOT NULL
          OR OLD.expires_at > NEW.requested_at
          AND (NEW.user_id, NEW.requested_by, NEW.requested_at, NEW.expires_at)
              IS DISTINCT FROM (OLD.user_id, OLD.requested_by, OLD.requested_at, OLD.expires_at))
    EXECUTE FUNCTION accounts.refuse_other_erasure();

GRANT SELECT, INSERT (user_id, requested_by, requested_at, expires_at),
    UPDATE (requested_by, requested_at, expires_at) ON accounts.erasures TO tallystick_accounts;
"""

_EMAIL_CHANGES = """
CREATE TABLE accounts.email_changes (
    user_id uuid NOT NULL,
    email_sealed bytea NOT NULL,
    token_hash bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    mails integer NOT NULL,
    next_mail_at timestamptz NOT NULL,
    CONSTRAINT email_changes_pkey PRIMARY KEY (user_id),
    CONSTRAINT email_changes_user_known FOREIGN KEY (user_id) REFERENCES accounts.customers (user_id),
    CONSTRAINT email_changes_email_bounded CHECK (octet_length(email_sealed) <= 2000),
    CONSTRAINT email_changes_token_unique UNIQUE (token_hash),
    CONSTRAINT email_changes_token_sha256 CHECK (octet_length(token_hash) = 32),
    CONSTRAINT email_changes_mails_positive CHECK (mails >= 1)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON accounts.email_changes TO tallystick_accounts;
"""

_ERASE = """
DROP FUNCTION accounts.erase_customer (uuid, timestamptz, timestamptz);
CREATE FUNCTION accounts.erasure_state(erased uuid, closed_before timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    customer accounts.customers;
BEGIN
    SELECT * INTO customer FROM accounts.customers WHERE user_id = erased;
    IF NOT FOUND THEN RETURN 'unknown'; END IF;
    IF customer.erased_at IS NOT NULL THEN RETURN 'erased'; END IF;
    IF customer.status <> 'closed' THEN RETURN 'open'; END IF;
    IF customer.changed_at > closed_before THEN RETURN 'retained'; END IF;
    RETURN 'ready';
END
$$;
CREATE FUNCTION accounts.erase_customer(
    erased uuid, approver uuid, closed_before timestamptz, moment timestamptz
) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    state text;
BEGIN
    PERFORM FROM accounts.customers WHERE user_id = erased FOR NO KEY UPDATE;
    state := accounts.erasure_state(erased, closed_before);
    IF state <> 'ready' THEN RETURN state; END IF;
    UPDATE accounts.erasures SET approved_by = approver, erased_at = moment
        WHERE user_id = erased AND erased_at IS NULL AND expires_at > moment;
    IF NOT FOUND THEN RETURN 'not_asked'; END IF;
    UPDATE accounts.customers SET personal_key = NULL, email_hash = NULL, email_sealed = NULL, full_name_sealed = NULL,
        email = NULL, full_name = NULL, password_hash = 'erased', erased_at = moment WHERE user_id = erased;
    UPDATE accounts.accounts SET name = NULL, metadata = '{}' WHERE owner_id = erased;
    UPDATE accounts.api_keys SET name = 'erased' WHERE user_id = erased;
    DELETE FROM accounts.sessions WHERE user_id = erased;
    DELETE FROM accounts.email_verifications WHERE user_id = erased;
    DELETE FROM accounts.email_changes WHERE user_id = erased;
    DELETE FROM accounts.password_resets WHERE user_id = erased;
    DELETE FROM accounts.recovery_codes WHERE user_id = erased;
    DELETE FROM accounts.authenticators WHERE user_id = erased;
    -- What he was answered repeats what he wrote.
    DELETE FROM accounts.kept_answers WHERE principal_id = erased;
    RETURN 'done';
END
$$;
REVOKE ALL ON FUNCTION accounts.erase_customer, accounts.erasure_state FROM PUBLIC;
GRANT EXECUTE ON FUNCTION accounts.erase_customer, accounts.erasure_state TO tallystick_accounts;
"""


def upgrade() -> None:
    op.execute(_ERASURES)
    op.execute(_EMAIL_CHANGES)
    op.execute(_ERASE)


def downgrade() -> None:
    raise NotImplementedError("one person alone would erase again")
