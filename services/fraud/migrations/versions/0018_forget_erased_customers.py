"""Who was erased is forgotten here, too: what people wrote about him goes, what was decided stays under his id."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# The rows stay append-only but for this: a trigger lets free text about somebody whom accounts has erased become the
# word 'erased', and nothing else. Codes that the service itself wrote stay: no person said them. It is done in pieces,
# since a business may have thousands of reviews.
_ERASED = """
CREATE TABLE fraud.erased_customers (
    user_id uuid NOT NULL,
    noted_at timestamptz NOT NULL,
    CONSTRAINT erased_customers_pkey PRIMARY KEY (user_id)
);
CREATE TRIGGER erased_customers_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fraud.erased_customers
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change();
GRANT SELECT, INSERT ON fraud.erased_customers TO tallystick_fraud;

CREATE INDEX list_entries_by_other ON fraud.list_entries (other) WHERE other <> '';
"""

_WORDS = (("review_events", "text"), ("alert_events", "text"), ("personal_limits", "reason"))

_GUARD = """
CREATE FUNCTION fraud.refuse_change_but_forgetting() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    was jsonb := to_jsonb(OLD);
    about uuid := CASE TG_TABLE_NAME
        WHEN 'review_events' THEN (
            SELECT r.payer_id FROM fraud.reviews r WHERE r.transfer_id = (was ->> 'transfer_id')::uuid)
        WHEN 'alert_events' THEN (
            SELECT a.subject_id FROM fraud.alerts a WHERE a.alert_id = (was ->> 'alert_id')::uuid)
        ELSE (was ->> 'user_id')::uuid END;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF to_jsonb(NEW) = was || jsonb_build_object(TG_ARGV[0], 'erased')
            AND EXISTS (SELECT FROM fraud.erased_customers e WHERE e.user_id = about) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'fraud.% accepts INSERT only', TG_TABLE_NAME
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END
$$;
"""

_ENTRY_REMOVED_ONCE = """
    IF OLD.removed_at IS NOT NULL OR NEW.removed_at IS NULL OR
       (OLD.entry_id, OLD.list, OLD.subject, OLD.value, OLD.other, OLD.rule_id, OLD.reason, OLD.added_by, OLD.added_at,
        OLD.expires_at) IS DISTINCT FROM
       (NEW.entry_id, NEW.list, NEW.subject, NEW.value, NEW.other, NEW.rule_id, NEW.reason, NEW.added_by, NEW.added_at,
        NEW.expires_at) THEN
        RAISE EXCEPTION 'an entry is only ever removed, once' USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NEW;
END
$$;
"""

_ENTRIES = f"""
CREATE OR REPLACE FUNCTION fraud.refuse_other_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.reason = 'erased' AND NEW.removed_because = (CASE WHEN OLD.removed_at IS NULL THEN '' ELSE 'erased' END)
        AND to_jsonb(NEW) - ARRAY['reason', 'removed_because'] = to_jsonb(OLD) - ARRAY['reason', 'removed_because']
        AND EXISTS (SELECT FROM fraud.erased_customers e WHERE e.user_id::text IN (OLD.value, OLD.other)) THEN
        RETURN NEW;
    END IF;
{_ENTRY_REMOVED_ONCE}
"""

# Lists move the version of what is screened by with every statement, whether or not it found a row: so none is sent
# where there is nothing to forget.
_FORGET = """
CREATE FUNCTION fraud.forget_words_about(erased uuid, most integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    of_reviews bigint;
    of_alerts bigint;
BEGIN
    UPDATE fraud.review_events e SET text = 'erased' WHERE e.event_id IN (
        SELECT w.event_id FROM fraud.reviews r JOIN fraud.review_events w ON w.transfer_id = r.transfer_id
        WHERE r.payer_id = erased AND w.actor_id IS NOT NULL AND w.text NOT IN ('', 'erased') LIMIT most);
    GET DIAGNOSTICS of_reviews = ROW_COUNT;
    UPDATE fraud.alert_events e SET text = 'erased' WHERE (e.alert_id, e.version) IN (
        SELECT w.alert_id, w.version FROM fraud.alerts a JOIN fraud.alert_events w ON w.alert_id = a.alert_id
        WHERE a.subject_id = erased AND w.actor_id IS NOT NULL AND w.text NOT IN ('', 'erased') LIMIT most);
    GET DIAGNOSTICS of_alerts = ROW_COUNT;
    UPDATE fraud.personal_limits SET reason = 'erased' WHERE user_id = erased AND reason <> 'erased';
    IF EXISTS (SELECT FROM fraud.list_entries l WHERE (l.value = erased::text OR l.other = erased::text)
               AND (l.reason <> 'erased' OR l.removed_because NOT IN ('', 'erased'))) THEN
        UPDATE fraud.list_entries l
        SET reason = 'erased', removed_because = CASE WHEN l.removed_at IS NULL THEN '' ELSE 'erased' END
        WHERE l.value = erased::text OR l.other = erased::text;
    END IF;
    RETURN greatest(of_reviews, of_alerts);
END
$$;
REVOKE ALL ON FUNCTION fraud.forget_words_about FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fraud.forget_words_about TO tallystick_fraud;
"""


def upgrade() -> None:
    op.execute(_ERASED)
    op.execute(_GUARD)
    for table, column in _WORDS:
        op.execute(f"DROP TRIGGER {table}_append_only ON fraud.{table}")
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON fraud.{table}"
            f" FOR EACH ROW EXECUTE FUNCTION fraud.refuse_change_but_forgetting('{column}')"
        )
        op.execute(
            f"CREATE TRIGGER {table}_never_truncated BEFORE TRUNCATE ON fraud.{table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change()"
        )
    op.execute(_ENTRIES)
    op.execute(_FORGET)


def downgrade() -> None:
    op.execute("DROP FUNCTION fraud.forget_words_about")
    op.execute(
        "CREATE OR REPLACE FUNCTION fraud.refuse_other_entry() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN"
        + _ENTRY_REMOVED_ONCE
    )
    for table, _ in _WORDS:
        op.execute(f"DROP TRIGGER {table}_never_truncated ON fraud.{table}")
        op.execute(f"DROP TRIGGER {table}_append_only ON fraud.{table}")
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fraud.{table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change()"
        )
    op.execute("DROP FUNCTION fraud.refuse_change_but_forgetting")
    op.execute("DROP INDEX fraud.list_entries_by_other")
    op.execute("DROP TABLE fraud.erased_customers")
