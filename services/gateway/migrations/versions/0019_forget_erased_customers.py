"""Who was erased is forgotten here, too: what he wrote on transfers goes, though what was asked never changes."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# What was committed to in the journal cannot be opened any more once its salt is gone, and nothing that is proven
# needs it. The rows stay append-only but for this: a trigger lets free text go, of one whom accounts has erased. The
# work is done in pieces, since somebody may have written on a million transfers; the partial indexes find what is left.
_FORGET = """
CREATE TABLE gateway.erased_customers (
    user_id uuid NOT NULL,
    noted_at timestamptz NOT NULL,
    CONSTRAINT erased_customers_pkey PRIMARY KEY (user_id)
);
CREATE TRIGGER erased_customers_append_only BEFORE UPDATE OR DELETE ON gateway.erased_customers
    FOR EACH ROW EXECUTE FUNCTION gateway.refuse_change();
CREATE TRIGGER erased_customers_never_truncated BEFORE TRUNCATE ON gateway.erased_customers
    FOR EACH STATEMENT EXECUTE FUNCTION gateway.refuse_change();
GRANT SELECT, INSERT ON gateway.erased_customers TO tallystick_gateway;

CREATE INDEX transfers_with_memo ON gateway.transfers (principal_id) WHERE memo IS NOT NULL;
CREATE INDEX commands_with_memo ON gateway.commands (principal_id) WHERE memo IS NOT NULL;

CREATE FUNCTION gateway.refuse_change_but_forgetting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.memo IS NULL AND NEW.memo_salt IS NULL
            AND to_jsonb(NEW) - ARRAY['memo', 'memo_salt'] = to_jsonb(OLD) - ARRAY['memo', 'memo_salt']
            AND EXISTS (SELECT FROM gateway.erased_customers e WHERE e.user_id = OLD.principal_id) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'gateway.% keeps what was asked; it is never changed', TG_TABLE_NAME USING ERRCODE = '23001';
END $$;
DROP TRIGGER transfers_append_only ON gateway.transfers;
CREATE TRIGGER transfers_append_only BEFORE UPDATE OR DELETE ON gateway.transfers
    FOR EACH ROW EXECUTE FUNCTION gateway.refuse_change_but_forgetting();
DROP TRIGGER commands_append_only ON gateway.commands;
CREATE TRIGGER commands_append_only BEFORE UPDATE OR DELETE ON gateway.commands
    FOR EACH ROW EXECUTE FUNCTION gateway.refuse_change_but_forgetting();

CREATE FUNCTION gateway.forget_memos_of(erased uuid, most integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$
    WITH piece AS MATERIALIZED (
        SELECT t.transfer_id, t.principal_id, t.command, t.memo FROM gateway.transfers t
        WHERE t.principal_id = erased AND t.memo IS NOT NULL AND t.scope IN ('transfers', 'batch')
        LIMIT most FOR UPDATE),
    unfound AS (
        DELETE FROM gateway.transfer_metadata m
        USING piece p, gateway.metadata_of(p.transfer_id, p.principal_id, p.command, p.memo) f
        WHERE (m.party_id, m.key, m.value, m.transfer_id) = (f.party_id, f.key, f.value, f.transfer_id)),
    forgotten AS (
        UPDATE gateway.transfers t SET memo = NULL, memo_salt = NULL
        FROM piece p WHERE t.transfer_id = p.transfer_id RETURNING 1)
    SELECT count(*) FROM forgotten
$$;
CREATE FUNCTION gateway.forget_reasons_of(erased uuid, most integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$
    WITH piece AS MATERIALIZED (
        SELECT c.command_id FROM gateway.commands c JOIN gateway.transfers t ON t.transfer_id = c.subject_id
        WHERE c.principal_id = erased AND c.memo IS NOT NULL AND c.scope IN ('captures', 'voids', 'reversals')
            AND (t.principal_id = erased OR convert_from(t.command, 'UTF8')::jsonb -> 'payees'
                @> jsonb_build_array(jsonb_build_object('user_id', erased)))
        LIMIT most FOR UPDATE OF c),
    forgotten AS (
        UPDATE gateway.commands c SET memo = NULL, memo_salt = NULL
        FROM piece p WHERE c.command_id = p.command_id RETURNING 1)
    SELECT count(*) FROM forgotten
$$;
REVOKE ALL ON FUNCTION gateway.forget_memos_of, gateway.forget_reasons_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gateway.forget_memos_of, gateway.forget_reasons_of TO tallystick_gateway;
"""


def upgrade() -> None:
    """Make the table, the indexes and the functions, and let the triggers allow this one change."""
    op.execute(_FORGET)


def downgrade() -> None:
    """Take them back; what was forgotten stays away."""
    op.execute("DROP FUNCTION gateway.forget_memos_of, gateway.forget_reasons_of")
    for table in ("transfers", "commands"):
        op.execute(f"DROP TRIGGER {table}_append_only ON gateway.{table}")
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON gateway.{table}"
            " FOR EACH ROW EXECUTE FUNCTION gateway.refuse_change()"
        )
    op.execute("DROP INDEX gateway.transfers_with_memo, gateway.commands_with_memo")
    op.execute("DROP FUNCTION gateway.refuse_change_but_forgetting()")
    op.execute("DROP TABLE gateway.erased_customers")
