"""Decisions and what they rest on: users whose version guards their limits, holds, releases, rates, profiles."""

from alembic import op

from libs.common.db.shared_tables import dead_letters_sql, outbox_sql

revision = "0001"
down_revision = None

_POLICY = """
CREATE TABLE fraud.limit_profiles (
    profile text NOT NULL,
    min_minor bigint NOT NULL,
    max_minor bigint NOT NULL,
    day_sum_minor bigint NOT NULL,
    hour_count bigint NOT NULL,
    day_count bigint NOT NULL,
    version integer NOT NULL,
    CONSTRAINT limit_profiles_pkey PRIMARY KEY (profile),
    CONSTRAINT limit_profiles_amounts_ordered CHECK (0 < min_minor AND min_minor <= max_minor),
    CONSTRAINT limit_profiles_windows_positive CHECK (day_sum_minor > 0 AND hour_count > 0 AND day_count > 0)
);
INSERT INTO fraud.limit_profiles (profile, min_minor, max_minor, day_sum_minor, hour_count, day_count, version) VALUES
    ('retail', 1, 100000000, 500000000, 50, 200, 1),
    ('business', 1, 100000000, 500000000, 10000, 50000, 1);

CREATE TABLE fraud.usd_rates (
    asset text NOT NULL,
    numerator bigint NOT NULL,
    denominator bigint NOT NULL,
    as_of timestamptz NOT NULL,
    version integer NOT NULL,
    CONSTRAINT usd_rates_pkey PRIMARY KEY (asset),
    CONSTRAINT usd_rates_positive CHECK (numerator > 0 AND denominator > 0)
);
COMMENT ON TABLE fraud.usd_rates IS 'One minor unit of the asset is worth numerator / denominator US cents.';
INSERT INTO fraud.usd_rates (asset, numerator, denominator, as_of, version) VALUES
    ('USD', 1, 1, '2026-01-01T00:00:00Z', 1),
    ('EUR', 110, 100, '2026-01-01T00:00:00Z', 1),
    ('GBP', 127, 100, '2026-01-01T00:00:00Z', 1),
    ('JPY', 67, 100, '2026-01-01T00:00:00Z', 1),
    ('BTC', 9500000, 100000000, '2026-01-01T00:00:00Z', 1);

GRANT SELECT ON fraud.limit_profiles, fraud.usd_rates TO tallystick_fraud;
"""

# A user's row changes with every batch he sends in: room in its page keeps those updates off the index.
_PEOPLE = """
CREATE TABLE fraud.users (
    user_id uuid NOT NULL,
    version bigint NOT NULL,
    profile text NOT NULL DEFAULT 'retail',
    profile_version bigint NOT NULL DEFAULT 0,
    kyc_status text NOT NULL DEFAULT 'none',
    kyc_tier smallint NOT NULL DEFAULT 0,
    kyc_version bigint NOT NULL DEFAULT 0,
    last_decided_at timestamptz,
    CONSTRAINT users_pkey PRIMARY KEY (user_id),
    CONSTRAINT users_version_positive CHECK (version >= 1),
    CONSTRAINT users_profile_known FOREIGN KEY (profile) REFERENCES fraud.limit_profiles (profile),
    CONSTRAINT users_kyc_status_known CHECK (kyc_status IN ('none', 'in_review', 'approved', 'rejected')),
    CONSTRAINT users_kyc_tier_known CHECK (kyc_tier BETWEEN 0 AND 3)
) WITH (fillfactor = 50);

CREATE TABLE fraud.accounts (
    account_id uuid NOT NULL,
    owner_id uuid NOT NULL,
    asset text NOT NULL,
    status text NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT accounts_pkey PRIMARY KEY (account_id),
    CONSTRAINT accounts_status_known CHECK (status IN ('opening', 'active', 'closed'))
);

GRANT SELECT, INSERT, UPDATE ON fraud.users, fraud.accounts TO tallystick_fraud;
"""

_DECISIONS = """
CREATE TABLE fraud.decisions (
    transfer_id uuid NOT NULL,
    decision_id uuid NOT NULL,
    user_id uuid,
    verdict text NOT NULL,
    code text NOT NULL,
    reasons text[] NOT NULL,
    ruleset integer NOT NULL,
    usd_minor bigint NOT NULL,
    features bytea NOT NULL,
    facts bytea,
    decided_at timestamptz NOT NULL,
    command bytea,
    CONSTRAINT decisions_pkey PRIMARY KEY (transfer_id),
    CONSTRAINT decisions_verdict_known CHECK (verdict IN ('approve', 'hold', 'block')),
    CONSTRAINT decisions_block_has_code CHECK ((verdict = 'block') = (code <> '')),
    CONSTRAINT decisions_hold_has_reasons CHECK ((verdict = 'hold') = (cardinality(reasons) > 0)),
    CONSTRAINT decisions_hold_keeps_command CHECK (verdict <> 'hold' OR command IS NOT NULL),
    CONSTRAINT decisions_usd_bounded CHECK (usd_minor BETWEEN 0 AND 9007199254740991)
);
COMMENT ON COLUMN fraud.decisions.user_id IS 'Whose limits it used: the payer; null for a deposit.';
COMMENT ON COLUMN fraud.decisions.command IS 'As it was sent on; null when that is the request unchanged.';
CREATE INDEX decisions_slots ON fraud.decisions (user_id, decided_at) WHERE verdict <> 'block';

CREATE TABLE fraud.late_slots (
    transfer_id uuid NOT NULL,
    user_id uuid NOT NULL,
    usd_minor bigint NOT NULL,
    taken_at timestamptz NOT NULL,
    CONSTRAINT late_slots_pkey PRIMARY KEY (transfer_id),
    CONSTRAINT late_slots_decided FOREIGN KEY (transfer_id) REFERENCES fraud.decisions (transfer_id)
);
COMMENT ON TABLE fraud.late_slots IS 'Taken when a hold was released after its first slot had left the window.';
CREATE INDEX late_slots_slots ON fraud.late_slots (user_id, taken_at);

CREATE TABLE fraud.limit_releases (
    transfer_id uuid NOT NULL,
    user_id uuid NOT NULL,
    released_at timestamptz NOT NULL,
    reason text NOT NULL,
    CONSTRAINT limit_releases_pkey PRIMARY KEY (transfer_id),
    CONSTRAINT limit_releases_decided FOREIGN KEY (transfer_id) REFERENCES fraud.decisions (transfer_id)
);

CREATE FUNCTION fraud.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'fraud.% accepts INSERT only', TG_TABLE_NAME
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END
$$;
CREATE TRIGGER decisions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fraud.decisions
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change();
CREATE TRIGGER late_slots_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fraud.late_slots
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change();
CREATE TRIGGER limit_releases_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fraud.limit_releases
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change();

GRANT SELECT, INSERT ON fraud.decisions, fraud.late_slots, fraud.limit_releases TO tallystick_fraud;
"""

_HOLDS = """
CREATE TABLE fraud.holds (
    transfer_id uuid NOT NULL,
    payees uuid[] NOT NULL,
    reasons text[] NOT NULL,
    status text NOT NULL DEFAULT 'open',
    version integer NOT NULL DEFAULT 1,
    opened_at timestamptz NOT NULL,
    resolved_at timestamptz,
    resolution bytea,
    sent_at timestamptz,
    settled_at timestamptz,
    CONSTRAINT holds_pkey PRIMARY KEY (transfer_id),
    CONSTRAINT holds_decided FOREIGN KEY (transfer_id) REFERENCES fraud.decisions (transfer_id),
    CONSTRAINT holds_status_known CHECK (status IN ('open', 'released', 'rejected')),
    CONSTRAINT holds_open_has_reasons CHECK (status <> 'open' OR cardinality(reasons) > 0),
    CONSTRAINT holds_released_has_none CHECK (status <> 'released' OR cardinality(reasons) = 0),
    CONSTRAINT holds_resolution_kept CHECK (
        status = 'open' OR (resolution IS NOT NULL AND resolved_at IS NOT NULL AND sent_at IS NOT NULL)),
    CONSTRAINT holds_version_positive CHECK (version >= 1)
);
COMMENT ON COLUMN fraud.holds.settled_at IS 'When the ledger was heard to have posted or voided it.';
CREATE INDEX holds_open ON fraud.holds (transfer_id) WHERE status = 'open';
CREATE INDEX holds_unsettled ON fraud.holds (sent_at) WHERE status <> 'open' AND settled_at IS NULL;


CREATE TABLE fraud.hold_payees (
    payee_id uuid NOT NULL,
    transfer_id uuid NOT NULL,
    CONSTRAINT hold_payees_pkey PRIMARY KEY (payee_id, transfer_id),
    CONSTRAINT hold_payees_hold_known FOREIGN KEY (transfer_id) REFERENCES fraud.holds (transfer_id)
);
COMMENT ON TABLE fraud.hold_payees IS 'Whose KYC is waited for, while it is.';

GRANT SELECT, INSERT, UPDATE ON fraud.holds TO tallystick_fraud;
GRANT SELECT, INSERT, DELETE ON fraud.hold_payees TO tallystick_fraud;
"""


def upgrade() -> None:
    op.execute(_POLICY)
    op.execute(_PEOPLE)
    op.execute(_DECISIONS)
    op.execute(_HOLDS)
    op.execute(outbox_sql("fraud"))
    op.execute(dead_letters_sql("fraud"))


def downgrade() -> None:
    op.execute(
        """
        DROP TABLE fraud.hold_payees, fraud.holds;
        DROP TABLE fraud.limit_releases, fraud.late_slots, fraud.decisions, fraud.accounts, fraud.users,
            fraud.usd_rates, fraud.limit_profiles, fraud.dead_letters, fraud.outbox, fraud.outbox_lease;
        DROP FUNCTION fraud.refuse_change;
        """
    )
