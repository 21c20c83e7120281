"""The assets the ledger keeps, and what reconciliations found: rows that are never changed."""

from alembic import op

from libs.common.money import FIRST_ASSETS

revision = "0006"
down_revision = "0005"

_TABLES = """
CREATE TABLE ledger.assets (
    code text NOT NULL,
    exponent integer NOT NULL,
    added_at timestamptz NOT NULL,
    CONSTRAINT assets_pkey PRIMARY KEY (code),
    CONSTRAINT assets_code_shape CHECK (code ~ '^[A-Z][A-Z0-9]{2,11}$'),
    CONSTRAINT assets_exponent_bounded CHECK (exponent BETWEEN 0 AND 18)
);
GRANT SELECT ON ledger.assets TO tallystick_ledger;

CREATE TABLE ledger.reconciliations (
    run_id uuid NOT NULL,
    scope text NOT NULL,
    cause text NOT NULL,
    asked_by uuid,
    began_at timestamptz NOT NULL,
    CONSTRAINT reconciliations_pkey PRIMARY KEY (run_id),
    CONSTRAINT reconciliations_scope_known CHECK (scope IN ('all', 'sample')),
    CONSTRAINT reconciliations_cause_known CHECK (cause IN ('start', 'nightly', 'request')),
    CONSTRAINT reconciliations_request_by_somebody CHECK ((cause = 'request') = (asked_by IS NOT NULL))
);
CREATE INDEX reconciliations_newest ON ledger.reconciliations (began_at DESC, run_id DESC);

CREATE TABLE ledger.reconciliation_results (
    run_id uuid NOT NULL,
    ended_at timestamptz NOT NULL,
    verdict text NOT NULL,
    differences integer NOT NULL,
    report jsonb NOT NULL,
    CONSTRAINT reconciliation_results_pkey PRIMARY KEY (run_id),
    CONSTRAINT reconciliation_results_run_known FOREIGN KEY (run_id) REFERENCES ledger.reconciliations,
    CONSTRAINT reconciliation_results_verdict_known CHECK (verdict IN ('agrees', 'differs', 'incomplete', 'failed')),
    CONSTRAINT reconciliation_results_differences_counted CHECK ((verdict = 'differs') = (differences > 0))
);
GRANT SELECT, INSERT ON ledger.reconciliations, ledger.reconciliation_results TO tallystick_ledger;
"""


def upgrade() -> None:
    op.execute(_TABLES)
    for code, exponent in FIRST_ASSETS.items():
        op.execute(f"INSERT INTO ledger.assets (code, exponent, added_at) VALUES ('{code}', {exponent}, now())")
    for table in ("assets", "reconciliations", "reconciliation_results"):
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.{table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();"
        )


def downgrade() -> None:
    op.execute("DROP TABLE ledger.assets, ledger.reconciliation_results, ledger.reconciliations")
