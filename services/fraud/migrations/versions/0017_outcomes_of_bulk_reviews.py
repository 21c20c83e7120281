"""Keep what became of each of many reviews: a request sent again under its key is told what the first one did."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# Each outcome commits with its decision: whenever the first request ends, a copy finds exactly what was done.
_OUTCOMES = """
CREATE TABLE fraud.bulk_reviews (
    bulk_id uuid NOT NULL,
    principal_id uuid NOT NULL,
    route text NOT NULL,
    idempotency_key text NOT NULL,
    body_hash bytea NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT bulk_reviews_pkey PRIMARY KEY (bulk_id),
    CONSTRAINT bulk_reviews_key_unique UNIQUE (principal_id, route, idempotency_key),
    CONSTRAINT bulk_reviews_key_bounded CHECK (octet_length(idempotency_key) BETWEEN 1 AND 255),
    CONSTRAINT bulk_reviews_hash_sha256 CHECK (octet_length(body_hash) = 32)
);
CREATE TABLE fraud.bulk_review_outcomes (
    bulk_id uuid NOT NULL,
    transfer_id uuid NOT NULL,
    review_status text,
    remaining text[] NOT NULL,
    code text NOT NULL,
    detail text NOT NULL,
    CONSTRAINT bulk_review_outcomes_pkey PRIMARY KEY (bulk_id, transfer_id),
    CONSTRAINT bulk_review_outcomes_bulk_known FOREIGN KEY (bulk_id) REFERENCES fraud.bulk_reviews (bulk_id),
    CONSTRAINT bulk_review_outcomes_status_known CHECK (review_status IN ('open', 'approved', 'rejected')),
    CONSTRAINT bulk_review_outcomes_refused_why CHECK (
        review_status IS NOT NULL OR code <> '' AND detail <> '' AND cardinality(remaining) = 0),
    CONSTRAINT bulk_review_outcomes_bounded CHECK (char_length(code) <= 80 AND char_length(detail) <= 500)
);
COMMENT ON COLUMN fraud.bulk_review_outcomes.review_status IS 'Null: it could not be decided, for the reason in code.';
CREATE TRIGGER bulk_reviews_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fraud.bulk_reviews
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change();
CREATE TRIGGER bulk_review_outcomes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fraud.bulk_review_outcomes
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change();
GRANT SELECT, INSERT ON fraud.bulk_reviews, fraud.bulk_review_outcomes TO tallystick_fraud;
"""


def upgrade() -> None:
    op.execute(_OUTCOMES)


def downgrade() -> None:
    op.execute("DROP TABLE fraud.bulk_review_outcomes, fraud.bulk_reviews")
