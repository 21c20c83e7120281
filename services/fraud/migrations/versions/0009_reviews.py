"""People decide on transfers that a rule has held: the queue, and what each of them did."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Whoever decides is not the payer, a payee or who asked; above 100,000.00 USD two different people approve; what is
# over stays as it is. The code refuses all that with a reason; here it cannot be.
_REVIEWS = """
CREATE TABLE fraud.reviews (
    transfer_id uuid NOT NULL,
    payer_id uuid NOT NULL,
    parties uuid[] NOT NULL,
    usd_minor bigint NOT NULL,
    priority text NOT NULL,
    opened_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'open',
    claimed_by uuid,
    claimed_until timestamptz,
    first_approved_by uuid,
    first_approved_at timestamptz,
    decided_by uuid,
    decided_at timestamptz,
    CONSTRAINT reviews_pkey PRIMARY KEY (transfer_id),
    CONSTRAINT reviews_hold_known FOREIGN KEY (transfer_id) REFERENCES fraud.holds (transfer_id),
    CONSTRAINT reviews_priority_known CHECK (priority IN ('normal', 'high')),
    CONSTRAINT reviews_status_known CHECK (status IN ('open', 'approved', 'rejected', 'expired', 'ended')),
    CONSTRAINT reviews_due_later CHECK (due_at > opened_at),
    CONSTRAINT reviews_claim_whole CHECK ((claimed_by IS NULL) = (claimed_until IS NULL)),
    CONSTRAINT reviews_claim_open CHECK (claimed_by IS NULL OR status = 'open'),
    CONSTRAINT reviews_first_whole CHECK ((first_approved_by IS NULL) = (first_approved_at IS NULL)),
    CONSTRAINT reviews_decided_at CHECK ((status = 'open') = (decided_at IS NULL)),
    CONSTRAINT reviews_decided_by CHECK ((status IN ('approved', 'rejected')) = (decided_by IS NOT NULL)),
    CONSTRAINT reviews_payer_is_party CHECK (payer_id = ANY (parties)),
    CONSTRAINT reviews_nobodys_own CHECK (
        (claimed_by IS NULL OR claimed_by <> ALL (parties))
        AND (first_approved_by IS NULL OR first_approved_by <> ALL (parties))
        AND (decided_by IS NULL OR decided_by <> ALL (parties))),
    CONSTRAINT reviews_two_people CHECK (
        status <> 'approved' OR usd_minor <= 10000000
        OR (first_approved_by IS NOT NULL AND first_approved_by <> decided_by))
);
COMMENT ON COLUMN fraud.reviews.parties IS 'Payer, payees and who asked for the transfer: none of them reviews it.';
CREATE INDEX reviews_open ON fraud.reviews (due_at, transfer_id) WHERE status = 'open';
CREATE INDEX reviews_by_due ON fraud.reviews (due_at, transfer_id);
CREATE INDEX reviews_by_payer ON fraud.reviews (payer_id, due_at, transfer_id);
CREATE INDEX reviews_by_claim ON fraud.reviews (claimed_by, due_at, transfer_id) WHERE claimed_by IS NOT NULL;

CREATE FUNCTION fraud.refuse_change_of_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a review that is over stays as it is'
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END
$$;
CREATE TRIGGER reviews_closed_stay BEFORE UPDATE ON fraud.reviews
    FOR EACH ROW WHEN (OLD.status <> 'open') EXECUTE FUNCTION fraud.refuse_change_of_closed();
CREATE TRIGGER reviews_no_delete BEFORE DELETE OR TRUNCATE ON fraud.reviews
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change();

CREATE TABLE fraud.review_events (
    event_id uuid NOT NULL,
    transfer_id uuid NOT NULL,
    kind text NOT NULL,
    actor_id uuid,
    text text NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT review_events_pkey PRIMARY KEY (event_id),
    CONSTRAINT review_events_review_known FOREIGN KEY (transfer_id) REFERENCES fraud.reviews (transfer_id),
    CONSTRAINT review_events_kind_known CHECK (
        kind IN ('claimed', 'unclaimed', 'commented', 'approved_once', 'approved', 'rejected', 'expired', 'ended')),
    CONSTRAINT review_events_actor CHECK ((kind IN ('expired', 'ended')) = (actor_id IS NULL)),
    CONSTRAINT review_events_said CHECK (kind NOT IN ('commented', 'rejected') OR text <> ''),
    CONSTRAINT review_events_text_bounded CHECK (char_length(text) <= 1000)
);
CREATE INDEX review_events_of_review ON fraud.review_events (transfer_id, event_id);
CREATE TRIGGER review_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fraud.review_events
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change();

GRANT SELECT, INSERT ON fraud.reviews, fraud.review_events TO tallystick_fraud;
GRANT UPDATE (status, claimed_by, claimed_until, first_approved_by, first_approved_at, decided_by, decided_at)
    ON fraud.reviews TO tallystick_fraud;
"""


def upgrade() -> None:
    op.execute(_REVIEWS)
    # Waits for KYC end after thirty days: the oldest open ones are looked for every ten seconds.
    op.execute("CREATE INDEX holds_open_since ON fraud.holds (opened_at) WHERE status = 'open'")


def downgrade() -> None:
    op.execute(
        """
        DROP INDEX fraud.holds_open_since;
        DROP TABLE fraud.review_events, fraud.reviews;
        DROP FUNCTION fraud.refuse_change_of_closed;
        """
    )
