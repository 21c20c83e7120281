"""What rule sets in the shadow would have decided: a row each, and counts by hour that are written with them."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# No foreign key to the decision: its check would lock, and so write, a row of the table that is written most. The
# statement that inserts takes verdict, worth and time from that row instead, and decisions are never deleted.
_DECISIONS = """
CREATE TABLE fraud.shadow_decisions (
    ruleset integer NOT NULL,
    decision_id uuid NOT NULL,
    transfer_id uuid NOT NULL,
    live_verdict text NOT NULL,
    verdict text NOT NULL,
    code text NOT NULL,
    points integer NOT NULL,
    hits text[] NOT NULL,
    muted text[] NOT NULL,
    errors text[] NOT NULL,
    live_hits text[] NOT NULL,
    usd_minor bigint NOT NULL,
    decided_at timestamptz NOT NULL,
    CONSTRAINT shadow_decisions_pkey PRIMARY KEY (ruleset, decision_id),
    CONSTRAINT shadow_decisions_by_known FOREIGN KEY (ruleset) REFERENCES fraud.rulesets (version),
    CONSTRAINT shadow_decisions_live_verdict_known CHECK (live_verdict IN ('approve', 'hold', 'block')),
    CONSTRAINT shadow_decisions_verdict_known CHECK (verdict IN ('approve', 'hold', 'block', 'error')),
    CONSTRAINT shadow_decisions_block_has_code CHECK ((verdict = 'block') = (code <> '')),
    CONSTRAINT shadow_decisions_error_says_nothing CHECK (
        verdict <> 'error' OR points = 0 AND hits = '{}' AND muted = '{}' AND errors = '{}'),
    CONSTRAINT shadow_decisions_bounded CHECK (
        points >= 0 AND cardinality(hits) <= 60 AND cardinality(muted) <= 60 AND cardinality(errors) <= 60
        AND cardinality(live_hits) <= 60 AND usd_minor BETWEEN 0 AND 9007199254740991)
);
COMMENT ON TABLE fraud.shadow_decisions IS
    'Kept as long as decisions are. A decision without a row here was not judged: nobody may take it for unchanged.';
COMMENT ON COLUMN fraud.shadow_decisions.verdict IS 'error: the rule set could not be asked, so nobody knows.';
CREATE INDEX shadow_decisions_changed ON fraud.shadow_decisions (ruleset, decided_at, decision_id)
    WHERE verdict <> live_verdict;
CREATE TRIGGER shadow_decisions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fraud.shadow_decisions
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change();
GRANT SELECT, INSERT ON fraud.shadow_decisions TO tallystick_fraud;
"""

_COUNTS = """
CREATE TABLE fraud.shadow_counts (
    hour timestamptz NOT NULL,
    ruleset integer NOT NULL,
    live_verdict text NOT NULL,
    verdict text NOT NULL,
    lane smallint NOT NULL,
    decisions bigint NOT NULL,
    usd_minor numeric NOT NULL,
    CONSTRAINT shadow_counts_pkey PRIMARY KEY (ruleset, hour, live_verdict, verdict, lane),
    CONSTRAINT shadow_counts_of_known FOREIGN KEY (ruleset) REFERENCES fraud.rulesets (version),
    CONSTRAINT shadow_counts_live_verdict_known CHECK (live_verdict IN ('approve', 'hold', 'block')),
    CONSTRAINT shadow_counts_verdict_known CHECK (verdict IN ('approve', 'hold', 'block', 'error', 'dropped')),
    CONSTRAINT shadow_counts_positive CHECK (decisions > 0 AND usd_minor >= 0)
) WITH (fillfactor = 50);
COMMENT ON COLUMN fraud.shadow_counts.verdict IS
    'dropped: more came than could wait; these have no row of their own.';

CREATE TABLE fraud.shadow_rule_counts (
    hour timestamptz NOT NULL,
    ruleset integer NOT NULL,
    rule_id text NOT NULL,
    outcome text NOT NULL,
    lane smallint NOT NULL,
    decisions bigint NOT NULL,
    usd_minor numeric NOT NULL,
    CONSTRAINT shadow_rule_counts_pkey PRIMARY KEY (ruleset, hour, rule_id, outcome, lane),
    CONSTRAINT shadow_rule_counts_of_known FOREIGN KEY (ruleset) REFERENCES fraud.rulesets (version),
    CONSTRAINT shadow_rule_counts_outcome_known CHECK (outcome IN ('live_hit', 'hit', 'muted', 'error')),
    CONSTRAINT shadow_rule_counts_positive CHECK (decisions > 0 AND usd_minor >= 0)
) WITH (fillfactor = 50);
COMMENT ON COLUMN fraud.shadow_rule_counts.outcome IS 'live_hit: what the live set said of the same decisions.';
GRANT SELECT, INSERT, UPDATE ON fraud.shadow_counts, fraud.shadow_rule_counts TO tallystick_fraud;
"""

# Each costs time beside every decision.
_BOUND = """
CREATE FUNCTION fraud.refuse_more_shadows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM fraud.rulesets WHERE status = 'shadow') > 3 THEN
        RAISE EXCEPTION 'three rule sets are in the shadow' USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER rulesets_shadows_bounded AFTER INSERT OR UPDATE ON fraud.rulesets
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_more_shadows();
"""


def upgrade() -> None:
    op.execute(_DECISIONS)
    op.execute(_COUNTS)
    op.execute(_BOUND)


def downgrade() -> None:
    op.execute(
        """
        DROP TRIGGER rulesets_shadows_bounded ON fraud.rulesets;
        DROP FUNCTION fraud.refuse_more_shadows;
        DROP TABLE fraud.shadow_rule_counts, fraud.shadow_counts, fraud.shadow_decisions;
        """
    )
