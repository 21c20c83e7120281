"""What a customer said of himself is sealed under a key of his own.

The keys are the service's, not the migration's: it seals what is stored at its next start, and empties the columns.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

_SEALED = """
ALTER TABLE kyc.verifications
    ALTER COLUMN full_name DROP NOT NULL,
    ALTER COLUMN birth_date DROP NOT NULL,
    ALTER COLUMN country DROP NOT NULL,
    ADD COLUMN personal_key bytea,
    ADD COLUMN application_sealed bytea,
    ADD COLUMN erased_at timestamptz,
    ADD CONSTRAINT verifications_sealed_bounded CHECK (
        octet_length(personal_key) <= 200 AND octet_length(application_sealed) <= 2000),
    ADD CONSTRAINT verifications_personal_data_whole CHECK (
        num_nonnulls(personal_key, application_sealed) IN (0, 2)
        AND num_nonnulls(full_name, birth_date, country) IN (0, 3)
        AND num_nonnulls(personal_key, full_name, erased_at) = 1);
CREATE INDEX verifications_to_seal ON kyc.verifications (user_id) WHERE full_name IS NOT NULL;
"""


def upgrade() -> None:
    op.execute(_SEALED)


def downgrade() -> None:
    raise NotImplementedError("the migration has no keys to open what is sealed")
