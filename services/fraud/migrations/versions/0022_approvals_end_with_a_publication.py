"""An approval of a rule set ends with the next publication, whatever is live after it."""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

# What is approved and not live yet is approved again: nobody knows what went live since.
_NUMBER = """
ALTER TABLE fraud.rulesets ADD COLUMN approved_after integer;
COMMENT ON COLUMN fraud.rulesets.approved_after IS
    'The newest publication then, 0 for none: with the next one the approval ends.';
"""

_GUARDS = """
CREATE OR REPLACE FUNCTION fraud.refuse_baseless_publication() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    live integer := (SELECT version FROM fraud.rulesets WHERE status = 'live');
    last fraud.ruleset_publications;
    may boolean;
BEGIN
    SELECT * INTO last FROM fraud.ruleset_publications ORDER BY number DESC LIMIT 1;
    may := NEW.number = coalesce(last.number, 0) + 1 AND NEW.replaces IS NOT DISTINCT FROM live AND CASE NEW.basis
        WHEN 'approval' THEN EXISTS (
            SELECT FROM fraud.rulesets WHERE version = NEW.version AND approval_id = NEW.approval_id
            AND approved_by = NEW.approved_by AND approved_after = coalesce(last.number, 0))
        WHEN 'small_change' THEN NEW.agreed_on = last.agreed_on
        WHEN 'rollback' THEN last.basis <> 'rollback' AND last.version = live AND last.replaces = NEW.version
            AND NEW.at < last.at + interval '24 hours' AND NEW.agreed_on = coalesce(
                (SELECT agreed_on FROM fraud.ruleset_publications WHERE number = last.number - 1), NEW.version)
        END;
    IF may IS NOT TRUE THEN
        RAISE EXCEPTION 'a publication rests on an approval of this change, on a small change, or is a roll-back'
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION fraud.refuse_unpublished_ruleset() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'draft' THEN
            RAISE EXCEPTION 'a rule set begins as a draft' USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.status = 'live' AND OLD.status <> 'live' AND NEW.version IS DISTINCT FROM
        (SELECT version FROM fraud.ruleset_publications ORDER BY number DESC LIMIT 1) THEN
        RAISE EXCEPTION 'a rule set goes live by a publication' USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
    END IF;
    IF (NEW.approved_by, NEW.approved_at, NEW.approval_id, NEW.approved_beside, NEW.approved_after) IS DISTINCT FROM
       (OLD.approved_by, OLD.approved_at, OLD.approval_id, OLD.approved_beside, OLD.approved_after)
       AND (NEW.approval_id IS NOT DISTINCT FROM OLD.approval_id OR NEW.approval_id IS NULL OR NEW.status = 'live'
            OR NEW.approved_beside IS DISTINCT FROM (SELECT version FROM fraud.rulesets WHERE status = 'live')
            OR NEW.approved_after IS DISTINCT FROM
                (SELECT coalesce(max(number), 0) FROM fraud.ruleset_publications)) THEN
        RAISE EXCEPTION 'an approval is given anew, beside what is live'
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NEW;
END
$$;
"""


def upgrade() -> None:
    op.execute(_NUMBER)
    op.execute(_GUARDS)


def downgrade() -> None:
    raise NotImplementedError("approvals that had ended would stand again; restore the database from before")
