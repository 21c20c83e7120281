"""Rules and lists as data, what happened around customers lately, and counts of what was decided."""

from alembic import op

revision = "0003"
down_revision = "0002"

_RULES = """
CREATE TABLE fraud.screening_data (
    only_row boolean NOT NULL DEFAULT true,
    version bigint NOT NULL,
    CONSTRAINT screening_data_pkey PRIMARY KEY (only_row),
    CONSTRAINT screening_data_single CHECK (only_row)
);
COMMENT ON TABLE fraud.screening_data IS
    'Moves with every change of rules and lists; a decision that rested on an older version is not written.';
INSERT INTO fraud.screening_data (version) VALUES (1);

CREATE TABLE fraud.rulesets (
    version integer NOT NULL,
    name text NOT NULL,
    status text NOT NULL,
    document text NOT NULL,
    sha256 bytea NOT NULL,
    risk text NOT NULL,
    reason text NOT NULL,
    author text NOT NULL,
    created_at timestamptz NOT NULL,
    approved_by text,
    approved_at timestamptz,
    CONSTRAINT rulesets_pkey PRIMARY KEY (version),
    CONSTRAINT rulesets_version_free CHECK (version >= 2),
    CONSTRAINT rulesets_status_known CHECK (status IN ('draft', 'shadow', 'live', 'retired')),
    CONSTRAINT rulesets_risk_known CHECK (risk IN ('low', 'high')),
    CONSTRAINT rulesets_document_bounded CHECK (octet_length(document) <= 262144),
    CONSTRAINT rulesets_reason_bounded CHECK (char_length(reason) BETWEEN 1 AND 500),
    CONSTRAINT rulesets_sha256_whole CHECK (octet_length(sha256) = 32),
    CONSTRAINT rulesets_approval_whole CHECK ((approved_by IS NULL) = (approved_at IS NULL)),
    CONSTRAINT rulesets_four_eyes CHECK (approved_by <> author),
    CONSTRAINT rulesets_high_risk_approved CHECK (
        risk = 'low' OR approved_by IS NOT NULL OR status IN ('draft', 'shadow'))
);
COMMENT ON COLUMN fraud.rulesets.version IS '1 is what was decided before there were rules: limits and KYC alone.';
CREATE UNIQUE INDEX rulesets_one_live ON fraud.rulesets (status) WHERE status = 'live';

CREATE TABLE fraud.ruleset_events (
    event_id uuid NOT NULL,
    version integer NOT NULL,
    action text NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT ruleset_events_pkey PRIMARY KEY (event_id),
    CONSTRAINT ruleset_events_of_known FOREIGN KEY (version) REFERENCES fraud.rulesets (version),
    CONSTRAINT ruleset_events_action_known CHECK (
        action IN ('drafted', 'approved', 'shadowed', 'unshadowed', 'put_live', 'retired'))
);
CREATE INDEX ruleset_events_of_version ON fraud.ruleset_events (version, at);

CREATE FUNCTION fraud.refuse_other_ruleset() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.version, OLD.name, OLD.document, OLD.sha256, OLD.risk, OLD.reason, OLD.author, OLD.created_at)
        IS DISTINCT FROM
       (NEW.version, NEW.name, NEW.document, NEW.sha256, NEW.risk, NEW.reason, NEW.author, NEW.created_at) THEN
        RAISE EXCEPTION 'a rule set is written once' USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER rulesets_written_once BEFORE UPDATE ON fraud.rulesets
    FOR EACH ROW EXECUTE FUNCTION fraud.refuse_other_ruleset();
CREATE TRIGGER rulesets_not_deleted BEFORE DELETE OR TRUNCATE ON fraud.rulesets
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change();
CREATE TRIGGER ruleset_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fraud.ruleset_events
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change();

CREATE TABLE fraud.list_entries (
    entry_id uuid NOT NULL,
    list text NOT NULL,
    subject text NOT NULL,
    value text NOT NULL,
    other text NOT NULL DEFAULT '',
    rule_id text NOT NULL DEFAULT '',
    reason text NOT NULL,
    added_by text NOT NULL,
    added_at timestamptz NOT NULL,
    expires_at timestamptz,
    removed_by text,
    removed_at timestamptz,
    removed_because text NOT NULL DEFAULT '',
    CONSTRAINT list_entries_pkey PRIMARY KEY (entry_id),
    CONSTRAINT list_entries_list_known CHECK (list IN ('deny', 'allow', 'snooze', 'freeze')),
    CONSTRAINT list_entries_subject_known CHECK (
        subject IN ('customer', 'sender', 'receiver', 'pair', 'address', 'device')),
    CONSTRAINT list_entries_freeze_of_customer CHECK (list <> 'freeze' OR subject = 'customer'),
    CONSTRAINT list_entries_pair_has_other CHECK ((subject = 'pair') = (other <> '')),
    CONSTRAINT list_entries_snooze_has_rule CHECK ((list = 'snooze') = (rule_id <> '')),
    CONSTRAINT list_entries_leniency_ends CHECK (list IN ('deny', 'freeze') OR expires_at IS NOT NULL),
    CONSTRAINT list_entries_reason_bounded CHECK (char_length(reason) BETWEEN 1 AND 500),
    CONSTRAINT list_entries_values_bounded CHECK (
        char_length(value) BETWEEN 1 AND 100 AND char_length(other) <= 100 AND char_length(rule_id) <= 60),
    CONSTRAINT list_entries_removal_whole CHECK (
        (removed_at IS NULL) = (removed_by IS NULL) AND (removed_at IS NULL) = (removed_because = ''))
);
CREATE INDEX list_entries_standing ON fraud.list_entries (added_at, entry_id) WHERE removed_at IS NULL;
CREATE INDEX list_entries_by_value ON fraud.list_entries (value, added_at);

CREATE FUNCTION fraud.refuse_other_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.removed_at IS NOT NULL OR NEW.removed_at IS NULL OR
       (OLD.entry_id, OLD.list, OLD.subject, OLD.value, OLD.other, OLD.rule_id, OLD.reason, OLD.added_by, OLD.added_at,
        OLD.expires_at) IS DISTINCT FROM
       (NEW.entry_id, NEW.list, NEW.subject, NEW.value, NEW.other, NEW.rule_id, NEW.reason, NEW.added_by, NEW.added_at,
        NEW.expires_at) THEN
        RAISE EXCEPTION 'an entry is only ever removed, once' USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER list_entries_only_removed BEFORE UPDATE ON fraud.list_entries
    FOR EACH ROW EXECUTE FUNCTION fraud.refuse_other_entry();
CREATE TRIGGER list_entries_not_deleted BEFORE DELETE OR TRUNCATE ON fraud.list_entries
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change();

CREATE FUNCTION fraud.move_screening_data() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog AS $$
BEGIN
    UPDATE fraud.screening_data SET version = version + 1;
    RETURN NULL;
END
$$;
CREATE TRIGGER rulesets_move_screening AFTER INSERT OR UPDATE ON fraud.rulesets
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.move_screening_data();
CREATE TRIGGER list_entries_move_screening AFTER INSERT OR UPDATE ON fraud.list_entries
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.move_screening_data();

GRANT SELECT ON fraud.screening_data TO tallystick_fraud;
GRANT SELECT, INSERT ON fraud.ruleset_events TO tallystick_fraud;
GRANT SELECT, INSERT, UPDATE ON fraud.rulesets, fraud.list_entries TO tallystick_fraud;
"""

# No key of its own: the decision's is what forbids a second one, in the same statement.
_ACTIVITY = """
CREATE TABLE fraud.activity (
    decided_at timestamptz NOT NULL,
    payer_id uuid NOT NULL,
    payee_id uuid,
    address_key bigint,
    device_key bigint,
    usd_minor bigint NOT NULL,
    blocked boolean NOT NULL
);
COMMENT ON TABLE fraud.activity IS
    'What rules look back at: a row for each receiver of a transfer, kept for 31 days. Keys are keyed hashes.';
CREATE INDEX activity_of_payer ON fraud.activity (payer_id, decided_at);
CREATE INDEX activity_of_payee ON fraud.activity (payee_id, decided_at) WHERE payee_id IS NOT NULL;
CREATE INDEX activity_of_address ON fraud.activity (address_key, decided_at) WHERE address_key IS NOT NULL;
CREATE INDEX activity_of_device ON fraud.activity (device_key, decided_at) WHERE device_key IS NOT NULL;
CREATE INDEX activity_by_time ON fraud.activity USING brin (decided_at);
GRANT SELECT, INSERT, DELETE ON fraud.activity TO tallystick_fraud;

ALTER TABLE fraud.users ADD COLUMN account_since timestamptz, ADD COLUMN kyc_since timestamptz;
CREATE INDEX decisions_by_time ON fraud.decisions USING brin (decided_at);
"""

_COUNTS = """
CREATE TABLE fraud.decision_counts (
    hour timestamptz NOT NULL,
    verdict text NOT NULL,
    code text NOT NULL,
    reasons text NOT NULL,
    ruleset integer NOT NULL,
    lane smallint NOT NULL,
    decisions bigint NOT NULL,
    usd_minor numeric NOT NULL,
    CONSTRAINT decision_counts_pkey PRIMARY KEY (hour, verdict, code, reasons, ruleset, lane),
    CONSTRAINT decision_counts_positive CHECK (decisions > 0 AND usd_minor >= 0)
) WITH (fillfactor = 50);
COMMENT ON COLUMN fraud.decision_counts.lane IS 'Which process counted: two of them need not wait for one row.';

CREATE TABLE fraud.rule_counts (
    hour timestamptz NOT NULL,
    rule_id text NOT NULL,
    verdict text NOT NULL,
    outcome text NOT NULL,
    ruleset integer NOT NULL,
    lane smallint NOT NULL,
    decisions bigint NOT NULL,
    usd_minor numeric NOT NULL,
    CONSTRAINT rule_counts_pkey PRIMARY KEY (hour, rule_id, verdict, outcome, ruleset, lane),
    CONSTRAINT rule_counts_outcome_known CHECK (outcome IN ('hit', 'muted', 'error')),
    CONSTRAINT rule_counts_positive CHECK (decisions > 0 AND usd_minor >= 0)
) WITH (fillfactor = 50);
GRANT SELECT, INSERT, UPDATE ON fraud.decision_counts, fraud.rule_counts TO tallystick_fraud;

INSERT INTO fraud.decision_counts
SELECT date_trunc('hour', decided_at, 'UTC'), verdict, code, array_to_string(reasons, ','), ruleset, 0, count(*),
       sum(usd_minor)
FROM fraud.decisions GROUP BY 1, 2, 3, 4, 5;
"""


def upgrade() -> None:
    op.execute(_RULES)
    op.execute(_ACTIVITY)
    op.execute(_COUNTS)


def downgrade() -> None:
    op.execute(
        """
        DROP TABLE fraud.rule_counts, fraud.decision_counts, fraud.activity, fraud.list_entries, fraud.ruleset_events,
            fraud.rulesets, fraud.screening_data;
        DROP FUNCTION fraud.refuse_other_ruleset, fraud.refuse_other_entry, fraud.move_screening_data;
        DROP INDEX fraud.decisions_by_time;
        ALTER TABLE fraud.users DROP COLUMN account_since, DROP COLUMN kyc_since;
        """
    )
