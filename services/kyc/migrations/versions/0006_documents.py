"""Documents that prove who a customer is: what is known of each, under which key, and which files there may be."""

from alembic import op

revision = "0006"
down_revision = "0005"

_DOCUMENTS = """
CREATE TABLE kyc.document_holders (
    user_id uuid NOT NULL,
    personal_key bytea,
    created_at timestamptz NOT NULL,
    erased_at timestamptz,
    CONSTRAINT document_holders_pkey PRIMARY KEY (user_id),
    CONSTRAINT document_holders_key_bounded CHECK (octet_length(personal_key) <= 200),
    CONSTRAINT document_holders_key_until_erased CHECK ((personal_key IS NULL) = (erased_at IS NOT NULL))
);
COMMENT ON TABLE kyc.document_holders IS 'the key of each customer that wraps those of his documents';

CREATE TABLE kyc.document_files (
    document_id uuid NOT NULL,
    begun_at timestamptz NOT NULL,
    stored_at timestamptz,
    condemned_at timestamptz,
    deleted_at timestamptz,
    CONSTRAINT document_files_pkey PRIMARY KEY (document_id),
    CONSTRAINT document_files_condemned_first CHECK (deleted_at IS NULL OR condemned_at IS NOT NULL)
);
COMMENT ON TABLE kyc.document_files IS 'every file that was begun, written down before its first byte';
CREATE INDEX document_files_unfinished ON kyc.document_files (begun_at)
    WHERE stored_at IS NULL AND condemned_at IS NULL;
CREATE INDEX document_files_condemned ON kyc.document_files (condemned_at) WHERE deleted_at IS NULL;

CREATE TABLE kyc.documents (
    document_id uuid NOT NULL,
    user_id uuid NOT NULL,
    kind text NOT NULL,
    status text NOT NULL,
    place smallint NOT NULL,
    content_type text NOT NULL,
    bytes bigint NOT NULL,
    pages smallint,
    content_hash bytea,
    key_sealed bytea,
    created_at timestamptz NOT NULL,
    removed_at timestamptz,
    CONSTRAINT documents_pkey PRIMARY KEY (document_id),
    CONSTRAINT documents_file_begun FOREIGN KEY (document_id) REFERENCES kyc.document_files,
    CONSTRAINT documents_holder_known FOREIGN KEY (user_id) REFERENCES kyc.document_holders,
    CONSTRAINT documents_kind_known CHECK (
        kind IN ('identity_front', 'identity_back', 'tax_number', 'proof_of_address')),
    CONSTRAINT documents_status_known CHECK (status IN ('stored', 'removed')),
    CONSTRAINT documents_place_bounded CHECK (place BETWEEN 1 AND 10),
    CONSTRAINT documents_type_known CHECK (
        content_type IN ('image/jpeg', 'image/png', 'image/webp', 'application/pdf')),
    CONSTRAINT documents_bytes_bounded CHECK (bytes BETWEEN 1 AND 33554432),
    CONSTRAINT documents_pages_of_pdf CHECK (
        (pages IS NOT NULL) = (content_type = 'application/pdf') AND pages BETWEEN 1 AND 20),
    CONSTRAINT documents_hash_length CHECK (octet_length(content_hash) = 32),
    CONSTRAINT documents_key_bounded CHECK (octet_length(key_sealed) <= 200),
    CONSTRAINT documents_readable_while_stored CHECK (
        (status = 'stored') = (key_sealed IS NOT NULL) AND (status = 'removed') = (removed_at IS NOT NULL)
        AND (status = 'removed' OR content_hash IS NOT NULL))
);
CREATE UNIQUE INDEX documents_ten_at_once ON kyc.documents (user_id, place) WHERE status = 'stored';
CREATE INDEX documents_of_user ON kyc.documents (user_id, document_id);
CREATE INDEX documents_by_content ON kyc.documents (content_hash) WHERE content_hash IS NOT NULL;

CREATE FUNCTION kyc.refuse_document_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        -- What is known of it stays; what reads it, and by what it is recognised, may go.
        IF (NEW.document_id, NEW.user_id, NEW.kind, NEW.place, NEW.content_type, NEW.bytes, NEW.created_at)
                = (OLD.document_id, OLD.user_id, OLD.kind, OLD.place, OLD.content_type, OLD.bytes, OLD.created_at)
            AND NEW.pages IS NOT DISTINCT FROM OLD.pages
            AND NEW.status = 'removed'
            AND (OLD.status = 'stored' OR NEW.removed_at = OLD.removed_at)
            AND (NEW.content_hash IS NULL OR NEW.content_hash = OLD.content_hash) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'a document is removed, and nothing else of it changes'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'documents_removed_only';
END
$$;
CREATE TRIGGER documents_removed_only BEFORE UPDATE OR DELETE ON kyc.documents
    FOR EACH ROW EXECUTE FUNCTION kyc.refuse_document_change();
CREATE TRIGGER documents_kept BEFORE TRUNCATE ON kyc.documents
    FOR EACH STATEMENT EXECUTE FUNCTION kyc.refuse_document_change();

GRANT SELECT, INSERT, UPDATE ON kyc.document_holders, kyc.document_files, kyc.documents TO tallystick_kyc;
"""


def upgrade() -> None:
    op.execute(_DOCUMENTS)


def downgrade() -> None:
    op.execute("DROP TABLE kyc.documents, kyc.document_files, kyc.document_holders")
    op.execute("DROP FUNCTION kyc.refuse_document_change")
