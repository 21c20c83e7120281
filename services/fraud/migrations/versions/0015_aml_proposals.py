"""Figures of the AML watch are proposed by one person and approved by another before they are in force."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# What is in force keeps its table, which the version before this one reads. Whatever was put there by hand before
# counts as proposed by whoever signed it.
_PROPOSALS = """
CREATE TABLE fraud.aml_proposals (
    LIKE fraud.aml_parameters INCLUDING CONSTRAINTS,
    CONSTRAINT aml_proposals_pkey PRIMARY KEY (version, profile),
    CONSTRAINT aml_proposals_profile_known FOREIGN KEY (profile) REFERENCES fraud.limit_profiles (profile)
);
ALTER TABLE fraud.aml_proposals RENAME published_at TO proposed_at;
ALTER TABLE fraud.aml_proposals RENAME published_by TO proposed_by;
COMMENT ON TABLE fraud.aml_proposals IS 'INSERT only; in force once it stands in aml_parameters as well.';
INSERT INTO fraud.aml_proposals SELECT * FROM fraud.aml_parameters;
CREATE INDEX aml_proposals_of_profile ON fraud.aml_proposals (profile, version);
CREATE TRIGGER aml_proposals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fraud.aml_proposals
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change();
ALTER TABLE fraud.aml_parameters ADD COLUMN approved_by text,
    ADD COLUMN approval_reason text,
    ADD CONSTRAINT aml_parameters_proposed FOREIGN KEY (version, profile)
        REFERENCES fraud.aml_proposals (version, profile),
    ADD CONSTRAINT aml_parameters_by_two CHECK (
        approved_by IS NOT NULL AND approved_by <> published_by AND approval_reason <> '') NOT VALID;
COMMENT ON COLUMN fraud.aml_parameters.published_at IS 'When it came into force.';
COMMENT ON COLUMN fraud.aml_parameters.published_by IS 'Who proposed it.';
GRANT SELECT, INSERT ON fraud.aml_proposals TO tallystick_fraud;
GRANT INSERT ON fraud.aml_parameters TO tallystick_fraud;
"""


def upgrade() -> None:
    op.execute(_PROPOSALS)


def downgrade() -> None:
    op.execute("REVOKE INSERT ON fraud.aml_parameters FROM tallystick_fraud")
    op.execute("ALTER TABLE fraud.aml_parameters DROP COLUMN approval_reason, DROP COLUMN approved_by CASCADE")
    op.execute("ALTER TABLE fraud.aml_parameters DROP CONSTRAINT aml_parameters_proposed")
    op.execute("DROP TABLE fraud.aml_proposals")
