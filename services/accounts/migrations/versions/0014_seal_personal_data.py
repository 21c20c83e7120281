"""Names and e-mails are sealed under a key of each customer's own, and e-mails found by a keyed hash.

The keys are the service's, not the migration's: it seals what is stored at its next start, and empties `email` and
`full_name` in doing so. Mails that wait are sealed, too; no release had any, so those of a trial are dropped.
"""

from alembic import op

revision = "0014"
down_revision = "0013"

_SEALED = """
ALTER TABLE accounts.customers
    ALTER COLUMN email DROP NOT NULL,
    ALTER COLUMN full_name DROP NOT NULL,
    ADD COLUMN personal_key bytea,
    ADD COLUMN email_hash bytea,
    ADD COLUMN email_sealed bytea,
    ADD COLUMN full_name_sealed bytea,
    ADD COLUMN erased_at timestamptz,
    ADD CONSTRAINT customers_email_hash_hmac CHECK (octet_length(email_hash) = 32),
    ADD CONSTRAINT customers_sealed_bounded CHECK (
        octet_length(personal_key) <= 200 AND octet_length(email_sealed) <= 300
        AND octet_length(full_name_sealed) <= 900),
    ADD CONSTRAINT customers_personal_data_whole CHECK (
        num_nonnulls(personal_key, email_hash, email_sealed, full_name_sealed) IN (0, 4)
        AND num_nonnulls(email, full_name) IN (0, 2)
        AND num_nonnulls(personal_key, email, erased_at) = 1);
DROP INDEX accounts.customers_email_unique;
CREATE UNIQUE INDEX customers_email_unique ON accounts.customers (email_hash) WHERE deleted_at IS NULL;
CREATE INDEX customers_to_seal ON accounts.customers (user_id) WHERE email IS NOT NULL;

DELETE FROM accounts.mails;
ALTER TABLE accounts.mails
    DROP COLUMN recipient, DROP COLUMN subject, DROP COLUMN body,
    ADD COLUMN content bytea NOT NULL,
    ADD CONSTRAINT mails_content_bounded CHECK (octet_length(content) <= 40000);
"""


def upgrade() -> None:
    op.execute(_SEALED)


def downgrade() -> None:
    raise NotImplementedError("the migration has no keys to open what is sealed")
