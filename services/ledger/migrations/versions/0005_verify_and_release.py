"""Verifications with their signed states, findings, and what was released in spite of them."""

from alembic import op

revision = "0005"
down_revision = "0004"

_TABLES = """
CREATE TABLE ledger.verifications (
    verification_id uuid NOT NULL,
    shard integer NOT NULL,
    scope text NOT NULL,
    subject_id text NOT NULL,
    size bigint NOT NULL,
    records bigint NOT NULL,
    findings integer NOT NULL,
    note text,
    finished_at timestamptz NOT NULL,
    CONSTRAINT verifications_pkey PRIMARY KEY (verification_id),
    CONSTRAINT verifications_scope_known CHECK (scope IN ('full', 'incremental', 'account', 'transfer', 'minute'))
);
CREATE INDEX verifications_newest ON ledger.verifications (shard, finished_at);

CREATE TABLE ledger.findings (
    finding_id uuid NOT NULL,
    shard integer NOT NULL,
    digest text NOT NULL,
    document bytea NOT NULL,
    found_at timestamptz NOT NULL,
    CONSTRAINT findings_pkey PRIMARY KEY (finding_id),
    CONSTRAINT findings_same_once UNIQUE (shard, digest)
);

CREATE TABLE ledger.releases (
    finding_id uuid NOT NULL,
    actor_id uuid NOT NULL,
    reason text NOT NULL,
    salt text NOT NULL,
    shard integer NOT NULL,
    journal_index bigint NOT NULL,
    released_at timestamptz NOT NULL,
    CONSTRAINT releases_pkey PRIMARY KEY (finding_id),
    CONSTRAINT releases_finding_known FOREIGN KEY (finding_id) REFERENCES ledger.findings
);
"""
_APPEND_ONLY = ("verifications", "findings", "releases")

_GRANTS = """
GRANT SELECT, INSERT ON ledger.verifications, ledger.findings, ledger.releases TO tallystick_ledger;
"""


def upgrade() -> None:
    op.execute(_TABLES)
    for table in _APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.{table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();"
        )
    op.execute(_GRANTS)


def downgrade() -> None:
    op.execute("DROP TABLE ledger.releases, ledger.findings, ledger.verifications;")
