"""Keep the gateway's own audit log, and those of all services in one place, chained and signed."""

from alembic import op

from libs.common.db.shared_tables import AUDIT_ENTRY_TEXTS, audit_log_sql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# An entry is stored when it comes, its leaf when it is sealed: so neither row is ever changed. `audit_unsealed` is the
# work that is left. Leaves are counted from 0 without a gap: whoever would seal twice meets the primary key.
_TABLES = f"""
CREATE TABLE gateway.audit_entries (
    entry_id uuid NOT NULL,
    at timestamptz NOT NULL,
    service text NOT NULL,
    {AUDIT_ENTRY_TEXTS},
    CONSTRAINT audit_entries_pkey PRIMARY KEY (entry_id)
);
CREATE INDEX audit_entries_by_actor ON gateway.audit_entries (actor_id, entry_id);
CREATE INDEX audit_entries_by_resource ON gateway.audit_entries (resource_id, entry_id);
CREATE INDEX audit_entries_by_action ON gateway.audit_entries (action, entry_id);

CREATE TABLE gateway.audit_unsealed (
    entry_id uuid NOT NULL,
    collected_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT audit_unsealed_pkey PRIMARY KEY (entry_id)
);

CREATE TABLE gateway.audit_leaves (
    leaf_index bigint NOT NULL,
    entry_id uuid NOT NULL,
    leaf_hash bytea NOT NULL,
    CONSTRAINT audit_leaves_pkey PRIMARY KEY (leaf_index),
    CONSTRAINT audit_leaves_entry_once UNIQUE (entry_id),
    CONSTRAINT audit_leaves_index_counts CHECK (leaf_index >= 0),
    CONSTRAINT audit_leaves_hash_sha256 CHECK (octet_length(leaf_hash) = 32)
);

CREATE TABLE gateway.audit_seals (
    size bigint NOT NULL,
    peaks bytea NOT NULL,
    note text NOT NULL,
    CONSTRAINT audit_seals_pkey PRIMARY KEY (size),
    CONSTRAINT audit_seals_size_positive CHECK (size > 0),
    CONSTRAINT audit_seals_peaks_whole CHECK (octet_length(peaks) % 32 = 0)
);

CREATE TABLE gateway.audit_sealer (
    only_row boolean NOT NULL DEFAULT true,
    holder text NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT audit_sealer_pkey PRIMARY KEY (only_row),
    CONSTRAINT audit_sealer_single CHECK (only_row)
);
INSERT INTO gateway.audit_sealer (holder, expires_at) VALUES ('nobody', '-infinity');

CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON gateway.audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION gateway.refuse_audit_change();
CREATE TRIGGER audit_leaves_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON gateway.audit_leaves
    FOR EACH STATEMENT EXECUTE FUNCTION gateway.refuse_audit_change();
CREATE TRIGGER audit_seals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON gateway.audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION gateway.refuse_audit_change();

GRANT SELECT, INSERT ON gateway.audit_entries, gateway.audit_leaves, gateway.audit_seals TO tallystick_gateway;
GRANT SELECT, INSERT, DELETE ON gateway.audit_unsealed TO tallystick_gateway;
GRANT SELECT, UPDATE ON gateway.audit_sealer TO tallystick_gateway;
"""


def upgrade() -> None:
    """Make the log, the collection and what seals it."""
    op.execute(audit_log_sql("gateway"))
    op.execute(_TABLES)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE gateway.audit_entries, gateway.audit_unsealed, gateway.audit_leaves, gateway.audit_seals")
    op.execute("DROP TABLE gateway.audit_sealer, gateway.audit_log, gateway.audit_repeats")
    op.execute("DROP FUNCTION gateway.refuse_audit_change")
