"""Tiers 2 and 3 take documents, and who was asked for documents has sent them before he is reviewed again."""

from alembic import op

revision = "0008"
down_revision = "0007"

_DOCUMENTS = """
CREATE FUNCTION kyc.require_documents() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    needed text[] := CASE
        WHEN NEW.status = 'in_review' THEN array_remove(OLD.needs, 'application')
        WHEN NEW.tier = 2 THEN ARRAY['identity_front', 'identity_back', 'tax_number']
        WHEN NEW.tier = 3 THEN ARRAY['identity_front', 'identity_back', 'tax_number', 'proof_of_address']
        ELSE ARRAY[]::text[]
    END;
    asked_at timestamptz := CASE NEW.status WHEN 'in_review' THEN OLD.changed_at ELSE '-infinity' END;
BEGIN
    IF EXISTS (
        SELECT FROM unnest(needed) AS wanted (kind) WHERE NOT EXISTS (
            SELECT FROM kyc.documents d
            WHERE d.user_id = NEW.user_id AND d.kind = wanted.kind AND d.status = 'stored'
                AND d.created_at >= asked_at)) THEN
        RAISE EXCEPTION 'documents that this takes are not there'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'verifications_documents_there';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER verifications_documents_there AFTER UPDATE ON kyc.verifications FOR EACH ROW
    WHEN (NEW.version <> OLD.version AND (
        NEW.status = 'approved' AND OLD.status IN ('in_review', 'approved')
        OR NEW.status = 'in_review' AND OLD.status = 'needs_info'))
    EXECUTE FUNCTION kyc.require_documents();
"""


def upgrade() -> None:
    op.execute(_DOCUMENTS)


def downgrade() -> None:
    op.execute("DROP TRIGGER verifications_documents_there ON kyc.verifications")
    op.execute("DROP FUNCTION kyc.require_documents")
