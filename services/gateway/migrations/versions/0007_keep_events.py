"""Keep what happened for those who listen: events by user, in the order in which they became visible."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# `event_heads` is locked by whoever writes events until he commits, so a reader never sees a position before a lower
# one. `event_readers` says for whom events are kept: who never listened costs nothing. The numbers in `registered`
# become visible in their order for the same reason, so a writer asks for those above the highest he has seen.
_TABLES = """
CREATE TABLE gateway.event_heads (
    only_row boolean NOT NULL DEFAULT true,
    position bigint NOT NULL,
    pruned_to bigint NOT NULL,
    registered bigint NOT NULL,
    CONSTRAINT event_heads_pkey PRIMARY KEY (only_row),
    CONSTRAINT event_heads_single CHECK (only_row),
    CONSTRAINT event_heads_pruned_behind CHECK (pruned_to <= position)
);
INSERT INTO gateway.event_heads (position, pruned_to, registered) VALUES (0, 0, 0);

CREATE TABLE gateway.event_readers (
    user_id uuid NOT NULL,
    registered bigint NOT NULL,
    since_position bigint NOT NULL,
    since_at timestamptz NOT NULL,
    kept_until timestamptz NOT NULL,
    CONSTRAINT event_readers_pkey PRIMARY KEY (user_id),
    CONSTRAINT event_readers_registered_unique UNIQUE (registered)
);

CREATE TABLE gateway.events (
    position bigint NOT NULL,
    event_id uuid NOT NULL,
    user_id uuid NOT NULL,
    type text NOT NULL,
    resource_id uuid NOT NULL,
    account_ids uuid[] NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    payload bytea NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (position),
    CONSTRAINT events_once UNIQUE (user_id, event_id),
    CONSTRAINT events_type_form CHECK (type ~ '^[a-z]+[.][a-z_]+$')
);
CREATE INDEX events_of_user ON gateway.events (user_id, position);

CREATE FUNCTION gateway.refuse_event_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'gateway.events keeps what happened; it is never changed' USING ERRCODE = '23001';
END $$;
CREATE TRIGGER events_never_changed BEFORE UPDATE ON gateway.events
    FOR EACH ROW EXECUTE FUNCTION gateway.refuse_event_change();

GRANT SELECT, UPDATE ON gateway.event_heads TO tallystick_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON gateway.event_readers TO tallystick_gateway;
GRANT SELECT, INSERT, DELETE ON gateway.events TO tallystick_gateway;
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(_TABLES)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE gateway.events, gateway.event_readers, gateway.event_heads")
    op.execute("DROP FUNCTION gateway.refuse_event_change()")
