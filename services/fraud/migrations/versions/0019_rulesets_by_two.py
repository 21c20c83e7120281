"""An approval of a rule set is for one change of what is live, and for one publication of it."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# What was approved before this and is not live yet was approved beside nothing that is known: it is approved again.
_PUBLICATIONS = """
ALTER TABLE fraud.rulesets ADD COLUMN approval_id uuid, ADD COLUMN approved_beside integer;
UPDATE fraud.rulesets SET approval_id = gen_random_uuid() WHERE approved_by IS NOT NULL;
ALTER TABLE fraud.rulesets ADD CONSTRAINT rulesets_approval_named CHECK ((approval_id IS NULL) = (approved_by IS NULL));
COMMENT ON COLUMN fraud.rulesets.approval_id IS 'Of the newest approval; each is used by one publication.';
COMMENT ON COLUMN fraud.rulesets.approved_beside IS 'What was live then: an approval is for the change from that.';

CREATE TABLE fraud.ruleset_publications (
    number integer NOT NULL,
    version integer NOT NULL,
    replaces integer,
    basis text NOT NULL,
    agreed_on integer NOT NULL,
    approval_id uuid,
    approved_by text,
    published_by text NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT ruleset_publications_pkey PRIMARY KEY (number),
    CONSTRAINT ruleset_publications_of_known FOREIGN KEY (version) REFERENCES fraud.rulesets (version),
    CONSTRAINT ruleset_publications_replaces_known FOREIGN KEY (replaces) REFERENCES fraud.rulesets (version),
    CONSTRAINT ruleset_publications_agreed_known FOREIGN KEY (agreed_on) REFERENCES fraud.rulesets (version),
    CONSTRAINT ruleset_publications_basis_known CHECK (basis IN ('approval', 'small_change', 'rollback')),
    CONSTRAINT ruleset_publications_approval_whole CHECK (
        (basis = 'approval') = (approval_id IS NOT NULL) AND (basis = 'approval') = (approved_by IS NOT NULL)),
    CONSTRAINT ruleset_publications_approved_is_agreed CHECK (basis <> 'approval' OR agreed_on = version),
    CONSTRAINT ruleset_publications_approval_once UNIQUE (approval_id)
);
COMMENT ON TABLE fraud.ruleset_publications IS 'INSERT only: what went live, in order, and by whose leave.';
COMMENT ON COLUMN fraud.ruleset_publications.agreed_on IS
    'What two people agreed on last, as of this publication: small changes are measured against it, too.';
INSERT INTO fraud.ruleset_publications
SELECT 1, version, NULL, 'approval', version, approval_id, approved_by, approved_by, approved_at FROM fraud.rulesets
WHERE approved_by IS NOT NULL AND status IN ('live', 'retired')
ORDER BY status = 'live' DESC, (
    SELECT max(at) FROM fraud.ruleset_events e WHERE e.version = rulesets.version AND action = 'put_live'
) DESC NULLS LAST LIMIT 1;
INSERT INTO fraud.ruleset_publications
SELECT 2, r.version, NULL, 'small_change', p.version, NULL, NULL, r.author, r.created_at
FROM fraud.rulesets r, fraud.ruleset_publications p WHERE r.status = 'live' AND r.version <> p.version;
-- Nobody puts live what he approved himself; what stands above was not asked.
ALTER TABLE fraud.ruleset_publications
    ADD CONSTRAINT ruleset_publications_by_two CHECK (approved_by <> published_by) NOT VALID;
"""

_GUARDS = """
CREATE FUNCTION fraud.refuse_baseless_publication() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    live integer := (SELECT version FROM fraud.rulesets WHERE status = 'live');
    last fraud.ruleset_publications;
    may boolean;
BEGIN
    SELECT * INTO last FROM fraud.ruleset_publications ORDER BY number DESC LIMIT 1;
    may := NEW.number = coalesce(last.number, 0) + 1 AND NEW.replaces IS NOT DISTINCT FROM live AND CASE NEW.basis
        WHEN 'approval' THEN EXISTS (
            SELECT FROM fraud.rulesets WHERE version = NEW.version AND approval_id = NEW.approval_id
            AND approved_by = NEW.approved_by AND approved_beside IS NOT DISTINCT FROM live)
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
CREATE TRIGGER ruleset_publications_have_a_basis BEFORE INSERT ON fraud.ruleset_publications
    FOR EACH ROW EXECUTE FUNCTION fraud.refuse_baseless_publication();
CREATE TRIGGER ruleset_publications_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fraud.ruleset_publications
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change();

CREATE FUNCTION fraud.refuse_unpublished_ruleset() RETURNS trigger LANGUAGE plpgsql AS $$
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
    IF (NEW.approved_by, NEW.approved_at, NEW.approval_id, NEW.approved_beside) IS DISTINCT FROM
       (OLD.approved_by, OLD.approved_at, OLD.approval_id, OLD.approved_beside)
       AND (NEW.approval_id IS NOT DISTINCT FROM OLD.approval_id OR NEW.approval_id IS NULL OR NEW.status = 'live'
            OR NEW.approved_beside IS DISTINCT FROM (SELECT version FROM fraud.rulesets WHERE status = 'live')) THEN
        RAISE EXCEPTION 'an approval is given anew, beside what is live'
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER rulesets_live_as_published BEFORE INSERT OR UPDATE ON fraud.rulesets
    FOR EACH ROW EXECUTE FUNCTION fraud.refuse_unpublished_ruleset();
GRANT SELECT, INSERT ON fraud.ruleset_publications TO tallystick_fraud;
"""


def upgrade() -> None:
    op.execute(_PUBLICATIONS)
    op.execute(_GUARDS)


def downgrade() -> None:
    op.execute(
        """
        DROP TRIGGER rulesets_live_as_published ON fraud.rulesets;
        DROP TABLE fraud.ruleset_publications;
        DROP FUNCTION fraud.refuse_unpublished_ruleset, fraud.refuse_baseless_publication;
        ALTER TABLE fraud.rulesets DROP COLUMN approved_beside, DROP COLUMN approval_id;
        """
    )
