"""Tables that every service has in its own schema: the outbox and the dead letters."""


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
