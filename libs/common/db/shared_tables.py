"""Tables that services have in their own schema: the outbox, the dead letters, the audit log, kept answers."""

from typing import Final

AUDIT_ENTRY_TEXTS: Final = """
        actor_id text NOT NULL,
        actor_kind text NOT NULL,
        action text NOT NULL,
        resource_type text NOT NULL,
        resource_id text NOT NULL,
        address text NOT NULL,
        user_agent text NOT NULL,
        request_id text NOT NULL,
        outcome text NOT NULL,
        reason text NOT NULL,
        facts text NOT NULL""".strip()
"""What an audit entry says in words, as columns: where it is written, and where all are collected."""


def outbox_sql(schema: str) -> str:
    """Return the SQL that makes `<schema>.outbox` and `<schema>.outbox_lease`, with grants for the service's role.

    One outbox row holds all messages of one transaction, packed. Rows live for milliseconds: the autovacuum settings
    keep the table from growing under that churn, and EXTERNAL storage spares compressing what is deleted at once.
    """
    return f"""
    CREATE TABLE {schema}.outbox (
        row_id uuid NOT NULL,
        payload bytea NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT outbox_pkey PRIMARY KEY (row_id)
    ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
    ALTER TABLE {schema}.outbox ALTER payload SET STORAGE EXTERNAL;
    CREATE TABLE {schema}.outbox_lease (
        only_row boolean NOT NULL DEFAULT true,
        holder text NOT NULL,
        expires_at timestamptz NOT NULL,
        CONSTRAINT outbox_lease_pkey PRIMARY KEY (only_row),
        CONSTRAINT outbox_lease_single CHECK (only_row)
    );
    INSERT INTO {schema}.outbox_lease (holder, expires_at) VALUES ('nobody', '-infinity');
    GRANT SELECT, INSERT, DELETE ON {schema}.outbox TO tallystick_{schema};
    GRANT SELECT, UPDATE ON {schema}.outbox_lease TO tallystick_{schema};
    """  # noqa: S608 -- the schema's name stands in a migration


def dead_letters_sql(schema: str) -> str:
    """Return the SQL that makes `<schema>.dead_letters`, with grants for the service's role.

    The key is where the message stood on the bus, so that parking it twice keeps one row and counts the attempts.
    """
    return f"""
    CREATE TABLE {schema}.dead_letters (
        dead_letter_id uuid NOT NULL,
        consumer_group text NOT NULL,
        message_id text NOT NULL,
        topic text NOT NULL,
        partition_number integer NOT NULL,
        message_offset bigint NOT NULL,
        message_key bytea,
        message_type text NOT NULL,
        headers jsonb NOT NULL,
        payload bytea,
        cause_code text NOT NULL,
        cause text NOT NULL,
        stack text NOT NULL,
        transfer_ids text[] NOT NULL,
        attempts integer NOT NULL DEFAULT 1,
        status text NOT NULL DEFAULT 'parked',
        resolved_by text,
        resolved_reason text,
        first_seen_at timestamptz NOT NULL DEFAULT now(),
        last_seen_at timestamptz NOT NULL DEFAULT now(),
        resolved_at timestamptz,
        CONSTRAINT dead_letters_pkey PRIMARY KEY (dead_letter_id),
        CONSTRAINT dead_letters_message_unique UNIQUE (consumer_group, message_id),
        CONSTRAINT dead_letters_status_known CHECK (status IN ('parked', 'replayed', 'discarded'))
    );
    GRANT SELECT, INSERT, UPDATE ON {schema}.dead_letters TO tallystick_{schema};
    """


def key_queues_sql(schema: str) -> str:
    """Return the SQL by which `<schema>.dead_letters` keeps the order of keys.

    A letter with a `queue_number` stands in its key's queue: nothing of that key is handled but the first. `waiting` is
    one with which nothing is wrong; `handled` is done after all, without anybody having decided about it.
    """
    return f"""
    ALTER TABLE {schema}.dead_letters
        ADD COLUMN queue_number bigint,
        DROP CONSTRAINT dead_letters_status_known,
        ADD CONSTRAINT dead_letters_status_known
            CHECK (status IN ('parked', 'waiting', 'replayed', 'discarded', 'handled')),
        ADD CONSTRAINT dead_letters_waiting_in_queue CHECK (status <> 'waiting' OR queue_number IS NOT NULL),
        ADD CONSTRAINT dead_letters_ended_in_no_queue
            CHECK (status NOT IN ('discarded', 'handled') OR queue_number IS NULL),
        ADD CONSTRAINT dead_letters_queue_of_key
            CHECK (queue_number IS NULL OR coalesce(octet_length(message_key), 0) > 0),
        ADD CONSTRAINT dead_letters_discarded_for_reason
            CHECK (status <> 'discarded' OR resolved_by IS NOT NULL AND resolved_reason IS NOT NULL) NOT VALID;
    CREATE INDEX dead_letters_queues ON {schema}.dead_letters (consumer_group, topic, message_key, queue_number)
        WHERE queue_number IS NOT NULL;
    CREATE INDEX dead_letters_standing ON {schema}.dead_letters (status, consumer_group, first_seen_at);
    """


def without_key_queues_sql(schema: str) -> str:
    """Return the SQL that undoes `key_queues_sql`; what waits is parked then, and what was handled is replayed."""
    return f"""
    UPDATE {schema}.dead_letters SET status = CASE status WHEN 'waiting' THEN 'parked' ELSE 'replayed' END
        WHERE status IN ('waiting', 'handled');
    DROP INDEX {schema}.dead_letters_queues, {schema}.dead_letters_standing;
    ALTER TABLE {schema}.dead_letters
        DROP CONSTRAINT dead_letters_discarded_for_reason,
        DROP CONSTRAINT dead_letters_queue_of_key,
        DROP CONSTRAINT dead_letters_ended_in_no_queue,
        DROP CONSTRAINT dead_letters_waiting_in_queue,
        DROP CONSTRAINT dead_letters_status_known,
        ADD CONSTRAINT dead_letters_status_known CHECK (status IN ('parked', 'replayed', 'discarded')),
        DROP COLUMN queue_number;
    """  # noqa: S608 -- the schema's name stands in a migration


def audit_log_sql(schema: str) -> str:
    """Return the SQL that makes `<schema>.audit_log`, append-only for everybody, with grants for the service's role.

    Ids of actors and resources are text: a version of a fee schedule is a resource, too, and a service an actor.
    `<schema>.audit_repeats` says up to which entry all were said a second time.
    """
    return f"""
    CREATE TABLE {schema}.audit_log (
        entry_id uuid NOT NULL,
        at timestamptz NOT NULL,
        {AUDIT_ENTRY_TEXTS},
        CONSTRAINT audit_log_pkey PRIMARY KEY (entry_id),
        CONSTRAINT audit_log_actor_kind_known CHECK (actor_kind IN ('nobody', 'person', 'machine', 'system')),
        CONSTRAINT audit_log_actor_named CHECK ((actor_kind = 'nobody') = (actor_id = '')),
        CONSTRAINT audit_log_outcome_known CHECK (outcome IN ('done', 'refused', 'failed')),
        CONSTRAINT audit_log_action_bounded CHECK (char_length(action) BETWEEN 1 AND 80),
        CONSTRAINT audit_log_texts_bounded CHECK (
            char_length(actor_id) <= 80 AND char_length(resource_type) <= 80 AND char_length(resource_id) <= 200
            AND char_length(address) <= 80 AND char_length(user_agent) <= 200 AND char_length(request_id) <= 80
            AND char_length(reason) <= 80),
        CONSTRAINT audit_log_facts_small CHECK (octet_length(facts) <= 16384)
    );
    CREATE FUNCTION {schema}.refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% accepts INSERT only', TG_TABLE_NAME
            USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_log_append_only';
    END
    $$;
    CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {schema}.audit_log
        FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_audit_change();
    GRANT SELECT, INSERT ON {schema}.audit_log TO tallystick_{schema};
    CREATE TABLE {schema}.audit_repeats (
        only_row boolean NOT NULL DEFAULT true,
        upto uuid NOT NULL,
        CONSTRAINT audit_repeats_pkey PRIMARY KEY (only_row),
        CONSTRAINT audit_repeats_single CHECK (only_row)
    );
    INSERT INTO {schema}.audit_repeats (upto) VALUES ('00000000-0000-0000-0000-000000000000');
    GRANT SELECT, UPDATE ON {schema}.audit_repeats TO tallystick_{schema};
    """  # noqa: S608 -- the schema's name stands in a migration


def kept_answers_sql(schema: str) -> str:
    """Return the SQL that makes `<schema>.kept_answers`, with grants for the service's role.

    An answer is for ever what it was, and goes only with its principal, when he is erased.
    """
    return f"""
    CREATE TABLE {schema}.kept_answers (
        principal_id uuid NOT NULL,
        route text NOT NULL,
        idempotency_key text NOT NULL,
        body_hash bytea NOT NULL,
        status smallint NOT NULL,
        media_type text NOT NULL,
        location text NOT NULL,
        body bytea NOT NULL,
        answered_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT kept_answers_pkey PRIMARY KEY (principal_id, route, idempotency_key),
        CONSTRAINT kept_answers_key_bounded CHECK (octet_length(idempotency_key) BETWEEN 1 AND 255),
        CONSTRAINT kept_answers_hash_sha256 CHECK (octet_length(body_hash) = 32),
        CONSTRAINT kept_answers_final CHECK (status BETWEEN 200 AND 499)
    );
    CREATE FUNCTION {schema}.refuse_other_answer() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'what was answered stays as it was'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'kept_answers_frozen';
    END
    $$;
    CREATE TRIGGER kept_answers_frozen BEFORE UPDATE ON {schema}.kept_answers
        FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_other_answer();
    GRANT SELECT, INSERT, DELETE ON {schema}.kept_answers TO tallystick_{schema};
    """


def void_approvals_sql(schema: str) -> str:
    """Return the SQL that makes `<schema>.void_approvals` and `<schema>.is_void`, with grants for the service's role.

    `is_void(who, at)` tells whether an approval does not count any more; who is no person's id never loses a role.
    """
    return f"""
    CREATE TABLE {schema}.void_approvals (
        actor_id uuid NOT NULL,
        up_to timestamptz NOT NULL,
        CONSTRAINT void_approvals_pkey PRIMARY KEY (actor_id)
    );
    COMMENT ON TABLE {schema}.void_approvals IS 'whose roles changed, or who closed: what he approved until then';
    CREATE FUNCTION {schema}.refuse_reviving() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'what was void stays so' USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
    END
    $$;
    CREATE TRIGGER void_approvals_forward BEFORE UPDATE ON {schema}.void_approvals
        FOR EACH ROW WHEN (NEW.up_to < OLD.up_to OR NEW.actor_id <> OLD.actor_id)
        EXECUTE FUNCTION {schema}.refuse_reviving();
    CREATE TRIGGER void_approvals_stay BEFORE DELETE OR TRUNCATE ON {schema}.void_approvals
        FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_reviving();
    CREATE FUNCTION {schema}.is_void(who text, at timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
        SELECT EXISTS (
            SELECT FROM {schema}.void_approvals v
            WHERE v.actor_id = CASE WHEN who ~ '^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}$' THEN who::uuid END
                AND v.up_to >= at)
    $$;
    GRANT SELECT, INSERT, UPDATE ON {schema}.void_approvals TO tallystick_{schema};
    """  # noqa: S608 -- the schema's name stands in a migration
