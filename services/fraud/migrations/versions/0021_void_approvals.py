"""The first of two approvals ends with the authority of whoever gave it: of reviews, rule sets and figures."""

from alembic import op

from libs.common.db.shared_tables import void_approvals_sql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_GUARDS = """
CREATE FUNCTION fraud.refuse_void_approval() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_void boolean;
BEGIN
    CASE TG_TABLE_NAME
        WHEN 'reviews' THEN is_void := fraud.is_void(NEW.first_approved_by::text, NEW.first_approved_at);
        WHEN 'ruleset_publications' THEN is_void := EXISTS (
            SELECT FROM fraud.rulesets r
            WHERE r.version = NEW.version AND fraud.is_void(r.approved_by, r.approved_at));
        WHEN 'aml_parameters' THEN is_void := EXISTS (
            SELECT FROM fraud.aml_proposals p
            WHERE (p.version, p.profile) = (NEW.version, NEW.profile) AND fraud.is_void(p.proposed_by, p.proposed_at));
    END CASE;
    IF is_void THEN
        RAISE EXCEPTION 'the first of the two has lost his role since'
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER reviews_first_still_counts BEFORE UPDATE ON fraud.reviews
    FOR EACH ROW WHEN (NEW.status = 'approved' AND OLD.status = 'open' AND NEW.usd_minor > 10000000)
    EXECUTE FUNCTION fraud.refuse_void_approval();
CREATE TRIGGER ruleset_publications_approval_counts BEFORE INSERT ON fraud.ruleset_publications
    FOR EACH ROW WHEN (NEW.basis = 'approval') EXECUTE FUNCTION fraud.refuse_void_approval();
CREATE TRIGGER aml_parameters_proposal_counts BEFORE INSERT ON fraud.aml_parameters
    FOR EACH ROW EXECUTE FUNCTION fraud.refuse_void_approval();
"""


def upgrade() -> None:
    op.execute(void_approvals_sql("fraud"))
    op.execute(_GUARDS)


def downgrade() -> None:
    op.execute(
        """
        DROP FUNCTION fraud.refuse_void_approval CASCADE;
        DROP FUNCTION fraud.is_void;
        DROP TABLE fraud.void_approvals;
        DROP FUNCTION fraud.refuse_reviving;
        """
    )
