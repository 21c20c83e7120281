"""Postings as edges between customers, the parameters by which they are judged, and the alerts that come of it."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_PARAMETERS = """
CREATE TABLE fraud.aml_parameters (
    version integer NOT NULL,
    profile text NOT NULL,
    structuring_threshold_minor bigint,
    structuring_near_per_cent smallint NOT NULL,
    structuring_short_hours smallint NOT NULL,
    structuring_short_count smallint NOT NULL,
    structuring_long_hours smallint NOT NULL,
    structuring_long_count smallint NOT NULL,
    structuring_across_receivers boolean NOT NULL,
    fan_in_senders smallint,
    fan_in_new_per_cent smallint NOT NULL,
    fan_in_hours smallint NOT NULL,
    fan_in_floor_minor bigint NOT NULL,
    pass_through_floor_minor bigint,
    pass_through_hours smallint NOT NULL,
    pass_through_out_per_cent smallint NOT NULL,
    pass_through_out_per_cent_max smallint NOT NULL,
    pass_through_parties_max smallint,
    published_at timestamptz NOT NULL DEFAULT now(),
    published_by text NOT NULL,
    reason text NOT NULL,
    CONSTRAINT aml_parameters_pkey PRIMARY KEY (version, profile),
    CONSTRAINT aml_parameters_profile_known FOREIGN KEY (profile) REFERENCES fraud.limit_profiles (profile),
    CONSTRAINT aml_parameters_version_positive CHECK (version >= 1),
    CONSTRAINT aml_parameters_hours_within_a_week CHECK (
        structuring_short_hours BETWEEN 1 AND structuring_long_hours AND structuring_long_hours <= 168
        AND fan_in_hours BETWEEN 1 AND 168 AND pass_through_hours BETWEEN 1 AND 168),
    CONSTRAINT aml_parameters_structuring_sane CHECK (
        structuring_threshold_minor BETWEEN 1 AND 9007199254740991 AND structuring_near_per_cent BETWEEN 1 AND 99
        AND structuring_short_count BETWEEN 2 AND 1000 AND structuring_long_count BETWEEN 2 AND 1000),
    CONSTRAINT aml_parameters_fan_in_sane CHECK (
        fan_in_senders BETWEEN 2 AND 1000 AND fan_in_new_per_cent BETWEEN 0 AND 100
        AND fan_in_floor_minor BETWEEN 0 AND 9007199254740991),
    CONSTRAINT aml_parameters_pass_through_sane CHECK (
        pass_through_floor_minor BETWEEN 1 AND 9007199254740991 AND pass_through_out_per_cent BETWEEN 1 AND 100
        AND pass_through_out_per_cent_max BETWEEN pass_through_out_per_cent AND 1000
        AND pass_through_parties_max BETWEEN 1 AND 1000),
    CONSTRAINT aml_parameters_said_why CHECK (published_by <> '' AND reason <> '')
);
COMMENT ON TABLE fraud.aml_parameters IS
    'INSERT only; the highest version of a profile is in force. No threshold, senders or floor: not looked for.';
INSERT INTO fraud.aml_parameters (version, profile, structuring_threshold_minor, structuring_near_per_cent,
    structuring_short_hours, structuring_short_count, structuring_long_hours, structuring_long_count,
    structuring_across_receivers, fan_in_senders, fan_in_new_per_cent, fan_in_hours, fan_in_floor_minor,
    pass_through_floor_minor, pass_through_hours, pass_through_out_per_cent, pass_through_out_per_cent_max,
    pass_through_parties_max, published_by, reason) VALUES
    (1, 'retail', 1000000, 80, 24, 3, 168, 3, true, 10, 60, 24, 200000, 500000, 24, 90, 110, NULL,
     'tallystick', 'what it is shipped with'),
    (1, 'business', 1000000, 80, 24, 3, 168, 3, false, NULL, 60, 24, 200000, 5000000, 24, 90, 110, 5,
     'tallystick', 'what it is shipped with');
CREATE TRIGGER aml_parameters_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fraud.aml_parameters
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change();
GRANT SELECT ON fraud.aml_parameters TO tallystick_fraud;
"""

# `edge_no` counts in the order of commits, because whoever inserts holds the one row of aml_progress.
_EDGES = """
CREATE TABLE fraud.aml_edges (
    edge_no bigint GENERATED ALWAYS AS IDENTITY,
    shard integer NOT NULL,
    journal_index bigint NOT NULL,
    place smallint NOT NULL,
    transfer_id uuid NOT NULL,
    payer_id uuid,
    payee_id uuid,
    usd_minor bigint NOT NULL,
    posted_at timestamptz NOT NULL,
    known_since timestamptz NOT NULL,
    heard_at timestamptz NOT NULL,
    CONSTRAINT aml_edges_pkey PRIMARY KEY (shard, journal_index, place),
    CONSTRAINT aml_edges_usd_bounded CHECK (usd_minor BETWEEN 0 AND 9007199254740991),
    CONSTRAINT aml_edges_about_somebody CHECK (payer_id IS NOT NULL OR payee_id IS NOT NULL),
    CONSTRAINT aml_edges_not_to_himself CHECK (payer_id IS DISTINCT FROM payee_id)
);
COMMENT ON TABLE fraud.aml_edges IS
    'Who paid whom, for the time that is looked back upon. No payer: a deposit. No payee: a withdrawal.';
COMMENT ON COLUMN fraud.aml_edges.known_since IS 'When this payer had first paid this payee, as known at that time.';
CREATE UNIQUE INDEX aml_edges_heard ON fraud.aml_edges (edge_no);
CREATE INDEX aml_edges_out ON fraud.aml_edges (payer_id, posted_at) WHERE payer_id IS NOT NULL;
CREATE INDEX aml_edges_in ON fraud.aml_edges (payee_id, posted_at) WHERE payee_id IS NOT NULL;

CREATE TABLE fraud.aml_contacts (
    payee_id uuid NOT NULL,
    payer_id uuid NOT NULL,
    first_at timestamptz NOT NULL,
    CONSTRAINT aml_contacts_pkey PRIMARY KEY (payee_id, payer_id)
);
COMMENT ON TABLE fraud.aml_contacts IS 'When somebody was first paid by somebody: a landlord knows his tenants.';

CREATE TABLE fraud.aml_progress (
    only_row boolean NOT NULL DEFAULT true,
    heard_up_to bigint NOT NULL,
    judged_up_to bigint NOT NULL,
    CONSTRAINT aml_progress_pkey PRIMARY KEY (only_row),
    CONSTRAINT aml_progress_single CHECK (only_row),
    CONSTRAINT aml_progress_heard_before_judged CHECK (0 <= judged_up_to AND judged_up_to <= heard_up_to)
);
COMMENT ON TABLE fraud.aml_progress IS 'Edges up to these numbers; whoever writes edges or judges them locks it.';
INSERT INTO fraud.aml_progress (heard_up_to, judged_up_to) VALUES (0, 0);

GRANT SELECT, INSERT, DELETE ON fraud.aml_edges TO tallystick_fraud;
GRANT SELECT, INSERT, UPDATE ON fraud.aml_contacts TO tallystick_fraud;
GRANT SELECT, UPDATE ON fraud.aml_progress TO tallystick_fraud;
"""

_ALERTS = """
CREATE TABLE fraud.alerts (
    alert_id uuid NOT NULL,
    typology text NOT NULL,
    subject_id uuid NOT NULL,
    opened_at timestamptz NOT NULL,
    parameters_version integer NOT NULL,
    state text NOT NULL DEFAULT 'open',
    version integer NOT NULL DEFAULT 1,
    claimed_by uuid,
    changed_at timestamptz NOT NULL,
    window_from timestamptz NOT NULL,
    window_to timestamptz NOT NULL,
    score smallint NOT NULL,
    transfers integer NOT NULL,
    CONSTRAINT alerts_pkey PRIMARY KEY (alert_id),
    CONSTRAINT alerts_typology_known CHECK (typology IN ('structuring', 'fan_in', 'pass_through')),
    CONSTRAINT alerts_state_known CHECK (state IN
        ('open', 'in_review', 'closed_confirmed', 'closed_suspicious', 'closed_false_positive')),
    CONSTRAINT alerts_version_positive CHECK (version >= 1),
    CONSTRAINT alerts_claimed_unless_open CHECK ((state = 'open') = (claimed_by IS NULL)),
    CONSTRAINT alerts_not_by_subject CHECK (claimed_by IS DISTINCT FROM subject_id),
    CONSTRAINT alerts_window_ordered CHECK (window_from <= window_to),
    CONSTRAINT alerts_score_bounded CHECK (score BETWEEN 0 AND 100),
    CONSTRAINT alerts_transfers_bounded CHECK (transfers BETWEEN 1 AND 1000)
);
CREATE UNIQUE INDEX alerts_one_unclosed ON fraud.alerts (subject_id, typology) WHERE state IN ('open', 'in_review');
CREATE INDEX alerts_of_subject ON fraud.alerts (subject_id, alert_id);
CREATE INDEX alerts_by_state ON fraud.alerts (state, alert_id);

CREATE FUNCTION fraud.refuse_alert_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.alert_id, OLD.typology, OLD.subject_id, OLD.opened_at, OLD.parameters_version)
        IS DISTINCT FROM (NEW.alert_id, NEW.typology, NEW.subject_id, NEW.opened_at, NEW.parameters_version) THEN
        RAISE EXCEPTION 'what an alert is about does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'alerts_about_the_same';
    END IF;
    IF NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'every change of an alert has the next version'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'alerts_next_version';
    END IF;
    IF OLD.state LIKE 'closed%' AND (OLD.state, OLD.transfers) IS DISTINCT FROM (NEW.state, NEW.transfers)
        OR OLD.state = 'open' AND NEW.state LIKE 'closed%' THEN
        RAISE EXCEPTION 'an alert is closed by who reviews it, and for good'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'alerts_legal_move';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER alerts_guarded BEFORE UPDATE ON fraud.alerts
    FOR EACH ROW EXECUTE FUNCTION fraud.refuse_alert_change();
CREATE TRIGGER alerts_kept BEFORE DELETE OR TRUNCATE ON fraud.alerts
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change();

CREATE TABLE fraud.alert_transfers (
    alert_id uuid NOT NULL,
    shard integer NOT NULL,
    journal_index bigint NOT NULL,
    place smallint NOT NULL,
    transfer_id uuid NOT NULL,
    payer_id uuid,
    payee_id uuid,
    usd_minor bigint NOT NULL,
    posted_at timestamptz NOT NULL,
    CONSTRAINT alert_transfers_pkey PRIMARY KEY (alert_id, shard, journal_index, place),
    CONSTRAINT alert_transfers_alert_known FOREIGN KEY (alert_id) REFERENCES fraud.alerts (alert_id)
);
COMMENT ON TABLE fraud.alert_transfers IS 'What proves an alert, with the journal records that prove the transfers.';

CREATE TABLE fraud.alert_events (
    alert_id uuid NOT NULL,
    version integer NOT NULL,
    event text NOT NULL,
    from_state text,
    to_state text NOT NULL,
    actor_id uuid,
    text text NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT alert_events_pkey PRIMARY KEY (alert_id, version),
    CONSTRAINT alert_events_alert_known FOREIGN KEY (alert_id) REFERENCES fraud.alerts (alert_id),
    CONSTRAINT alert_events_event_known CHECK (event IN ('opened', 'joined', 'claimed', 'returned', 'closed', 'noted')),
    CONSTRAINT alert_events_by_somebody CHECK ((event IN ('opened', 'joined')) = (actor_id IS NULL)),
    CONSTRAINT alert_events_said_why CHECK (event NOT IN ('returned', 'closed', 'noted') OR text <> ''),
    CONSTRAINT alert_events_text_bounded CHECK (char_length(text) <= 1000)
);
CREATE TRIGGER alert_transfers_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fraud.alert_transfers
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change();
CREATE TRIGGER alert_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fraud.alert_events
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change();

GRANT SELECT, INSERT, UPDATE ON fraud.alerts TO tallystick_fraud;
GRANT SELECT, INSERT ON fraud.alert_transfers, fraud.alert_events TO tallystick_fraud;
"""


def upgrade() -> None:
    op.execute(_PARAMETERS)
    op.execute(_EDGES)
    op.execute(_ALERTS)


def downgrade() -> None:
    op.execute("DROP TABLE fraud.alert_events, fraud.alert_transfers, fraud.alerts")
    op.execute("DROP FUNCTION fraud.refuse_alert_change")
    op.execute("DROP TABLE fraud.aml_progress, fraud.aml_contacts, fraud.aml_edges, fraud.aml_parameters")
