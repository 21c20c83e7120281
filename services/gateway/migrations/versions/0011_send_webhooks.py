"""Keep webhooks, and what is to be sent to each."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# A delivery has no foreign key to its webhook: one that is being deleted would fail the projection that queues for it.
# What is left of it is never sent, since whoever sends begins with the webhook, and goes with its event at last.
_TABLES = """
CREATE TABLE gateway.webhooks (
    webhook_id uuid NOT NULL,
    user_id uuid NOT NULL,
    url text NOT NULL,
    description text NOT NULL,
    event_types text[] NOT NULL,
    sealed_secret bytea NOT NULL,
    earlier_secret bytea,
    earlier_until timestamptz,
    is_enabled boolean NOT NULL DEFAULT true,
    disabled_because text NOT NULL DEFAULT '',
    disabled_at timestamptz,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    leased_by text NOT NULL DEFAULT '',
    leased_until timestamptz NOT NULL DEFAULT '-infinity',
    paused_until timestamptz NOT NULL DEFAULT '-infinity',
    failed_rounds integer NOT NULL DEFAULT 0,
    CONSTRAINT webhooks_pkey PRIMARY KEY (webhook_id),
    CONSTRAINT webhooks_url_bounded CHECK (length(url) BETWEEN 8 AND 2000),
    CONSTRAINT webhooks_earlier_secret_ends CHECK ((earlier_secret IS NULL) = (earlier_until IS NULL)),
    CONSTRAINT webhooks_disabled_because_known
        CHECK (disabled_because IN ('', 'by_owner', 'gone', 'failed_for_three_days')),
    CONSTRAINT webhooks_disabled_for_a_reason CHECK (is_enabled = (disabled_because = '')),
    CONSTRAINT webhooks_disabled_at_a_time CHECK (is_enabled = (disabled_at IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX webhooks_of_user ON gateway.webhooks (user_id, webhook_id);
CREATE INDEX webhooks_enabled ON gateway.webhooks (webhook_id) WHERE is_enabled;
CREATE INDEX webhooks_disabled_lately ON gateway.webhooks (disabled_at) WHERE disabled_at IS NOT NULL;

CREATE TABLE gateway.webhook_deliveries (
    webhook_id uuid NOT NULL,
    position bigint NOT NULL,
    resource_id uuid NOT NULL,
    status text NOT NULL DEFAULT 'pending',
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    first_attempt_at timestamptz,
    last_attempt_at timestamptz,
    response_status integer,
    failure text NOT NULL DEFAULT '',
    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (webhook_id, position),
    CONSTRAINT webhook_deliveries_event_kept
        FOREIGN KEY (position) REFERENCES gateway.events ON DELETE CASCADE,
    CONSTRAINT webhook_deliveries_status_known CHECK (status IN ('pending', 'delivered', 'failed')),
    CONSTRAINT webhook_deliveries_failure_bounded CHECK (length(failure) <= 100)
) WITH (fillfactor = 80);
CREATE INDEX webhook_deliveries_of_event ON gateway.webhook_deliveries (position);
CREATE INDEX webhook_deliveries_due ON gateway.webhook_deliveries (webhook_id, next_attempt_at)
    WHERE status = 'pending';
CREATE INDEX webhook_deliveries_before ON gateway.webhook_deliveries (webhook_id, resource_id, position)
    WHERE status = 'pending';

GRANT SELECT, INSERT, UPDATE, DELETE ON gateway.webhooks, gateway.webhook_deliveries TO tallystick_gateway;
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(_TABLES)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE gateway.webhook_deliveries, gateway.webhooks")
