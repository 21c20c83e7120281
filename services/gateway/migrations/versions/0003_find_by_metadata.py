"""Find transfers by the metadata they were sent with."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# A GIN index over the memos would be smaller, but it gives matches in no order: of a value that a million transfers
# share the newest fifty would cost a million. These rows are in order of time for each party, because ids are. The
# trigger's condition is all that a request without a memo pays.
_METADATA = """
CREATE TABLE gateway.transfer_metadata (
    party_id uuid NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    transfer_id uuid NOT NULL,
    is_actor boolean NOT NULL,
    CONSTRAINT transfer_metadata_pkey PRIMARY KEY (party_id, key, value, transfer_id)
);
CREATE INDEX transfer_metadata_of_anybody ON gateway.transfer_metadata (key, value, transfer_id) WHERE is_actor;
GRANT SELECT, INSERT ON gateway.transfer_metadata TO tallystick_gateway;

CREATE FUNCTION gateway.metadata_of(id uuid, actor_id uuid, command bytea, memo bytea)
RETURNS TABLE (party_id uuid, key text, value text, transfer_id uuid, is_actor boolean) IMMUTABLE LANGUAGE sql
BEGIN ATOMIC
    SELECT party.id, pair.key, pair.value, $1, party.id = $2
    FROM jsonb_each_text(convert_from($4, 'UTF8')::jsonb -> 'metadata') AS pair (key, value)
    CROSS JOIN (
        SELECT $2
        UNION
        SELECT (payee ->> 'user_id')::uuid
        FROM jsonb_array_elements(convert_from($3, 'UTF8')::jsonb -> 'payees') AS payee
    ) AS party (id);
END;

CREATE FUNCTION gateway.keep_metadata() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO gateway.transfer_metadata (party_id, key, value, transfer_id, is_actor)
    SELECT * FROM gateway.metadata_of(NEW.transfer_id, NEW.principal_id, NEW.command, NEW.memo);
    RETURN NULL;
END $$;
CREATE TRIGGER transfers_metadata AFTER INSERT ON gateway.transfers
    FOR EACH ROW WHEN (NEW.memo IS NOT NULL) EXECUTE FUNCTION gateway.keep_metadata();

INSERT INTO gateway.transfer_metadata (party_id, key, value, transfer_id, is_actor)
SELECT found.* FROM gateway.transfers t, gateway.metadata_of(t.transfer_id, t.principal_id, t.command, t.memo) AS found
WHERE t.memo IS NOT NULL;
"""


def upgrade() -> None:
    """Make the table, fill it, and keep it filled."""
    op.execute(_METADATA)


def downgrade() -> None:
    """Drop all of it."""
    op.execute(
        """
        DROP TRIGGER transfers_metadata ON gateway.transfers;
        DROP FUNCTION gateway.keep_metadata, gateway.metadata_of;
        DROP TABLE gateway.transfer_metadata;
        """
    )
