"""Promises about what the journal proves and what the bus was told of it."""

from typing import Final

from services.ledger.store.promises.promise import Promise

JOURNAL: Final = (
    Promise(
        "transfers_recorded",
        "a transfer is what the record it names says",
        "transfers",
        """
        SELECT t.transfer_id::text, format('row: %s %s version %s %s; record %s: %s', t.kind, t.status, t.version,
            t.code, t.journal_index, coalesce(concat_ws(' ', r.said ->> 'transfer_id', r.said ->> 'transfer_kind',
            j.kind, 'version', r.said ->> 'version', r.said ->> 'code'), 'missing'))
        FROM ledger.transfers t
        LEFT JOIN ledger.journal j ON j.shard = t.shard AND j.journal_index = t.journal_index
        LEFT JOIN LATERAL (SELECT convert_from(j.record, 'UTF8')::jsonb AS said) AS r ON true
        WHERE (:accounts::uuid[] IS NULL OR t.transfer_id IN (
                SELECT transfer_id FROM ledger.entries WHERE account_id = ANY(:accounts)))
          AND (t.transfer_id, t.transfer_id::text, t.kind, t.status, t.version::text, t.code, t.changed_at)
            IS DISTINCT FROM (j.transfer_id, r.said ->> 'transfer_id', r.said ->> 'transfer_kind',
                CASE substr(j.kind, 10) WHEN 'captured' THEN 'held' WHEN 'reversed' THEN 'posted'
                     ELSE substr(j.kind, 10) END,
                r.said ->> 'version', r.said ->> 'code', (r.said ->> 'time')::timestamptz)
        """,
        per_account=True,
    ),
    Promise(
        "records_applied",
        "every record of a transfer has reached it: the newest is the one it names, and each counts one version",
        "transfers",
        """
        SELECT j.transfer_id::text, format('newest record %s of %s; row: record %s, version %s', j.newest, j.states,
            t.journal_index, t.version)
        FROM (SELECT transfer_id, max(journal_index) AS newest, count(*) AS states FROM ledger.journal
              WHERE kind LIKE 'transfer.%' GROUP BY transfer_id) j
        LEFT JOIN ledger.transfers t USING (transfer_id)
        WHERE (j.newest, j.states) IS DISTINCT FROM (t.journal_index, t.version::bigint)
        """,
    ),
    Promise(
        "entries_recorded",
        "every entry names a record of its transfer",
        "entries",
        """
        SELECT e.account_id::text, format('seq %s of transfer %s names record %s', e.seq, e.transfer_id,
            e.journal_index)
        FROM ledger.entries e
        LEFT JOIN ledger.transfers t USING (transfer_id)
        LEFT JOIN ledger.journal j ON j.shard = t.shard AND j.journal_index = e.journal_index
        WHERE (:accounts::uuid[] IS NULL OR e.account_id = ANY(:accounts))
          AND j.transfer_id IS DISTINCT FROM e.transfer_id
        """,
        per_account=True,
    ),
    Promise(
        "commands_recorded",
        "what became of each command is what its record says",
        "commands",
        """
        SELECT c.command_id::text, format('%s %s %s; record %s: %s', c.kind, c.status, c.code, c.journal_index,
            coalesce(concat_ws(' ', j.kind, j.said ->> 'command_id', j.said ->> 'code'), 'missing'))
        FROM ledger.commands c
        LEFT JOIN LATERAL (SELECT kind, convert_from(record, 'UTF8')::jsonb AS said FROM ledger.journal
            WHERE shard = c.shard AND journal_index = c.journal_index) j ON true
        WHERE (c.command_id::text, c.status = 'refused') IS DISTINCT FROM
              (j.said ->> 'command_id', j.kind = 'command.refused')
           OR (c.status = 'refused' AND c.code IS DISTINCT FROM j.said ->> 'code')
        """,
    ),
    Promise(
        "commands_answered",
        "every command that a record names has its answer",
        "records of commands",
        """
        SELECT j.said ->> 'command_id', format('record %s, %s', j.journal_index, j.kind)
        FROM (SELECT shard, journal_index, kind, convert_from(record, 'UTF8')::jsonb AS said FROM ledger.journal
              WHERE kind IN ('command.refused', 'account.changed', 'fees.published', 'transfer.captured')) j
        WHERE NOT EXISTS (SELECT FROM ledger.commands c WHERE c.command_id = (j.said ->> 'command_id')::uuid)
        """,
    ),
    Promise(
        "account_limits_recorded",
        "what an account may do is what staff were last recorded to decide",
        "customers' accounts",
        """
        SELECT a.account_id::text, format('%1$s from {%2$s %4$s} to {%3$s %4$s}; record %5$s', a.status,
            a.minimum_minor, a.maximum_minor, a.asset,
            coalesce(r.said ->> 'account_status' || format(' from {%1$s %3$s} to {%2$s %3$s}',
                r.said ->> 'minimum_minor', r.said ->> 'maximum_minor', a.asset), 'none'))
        FROM ledger.accounts a
        LEFT JOIN (
            SELECT DISTINCT ON (said ->> 'account_id') (said ->> 'account_id')::uuid AS account_id, said FROM (
                SELECT journal_index, convert_from(record, 'UTF8')::jsonb AS said FROM ledger.journal
                WHERE kind = 'account.changed') AS changes
            ORDER BY said ->> 'account_id', journal_index DESC) r USING (account_id)
        WHERE a.kind = 'customer' AND (a.status, a.minimum_minor, a.maximum_minor) IS DISTINCT FROM
            (coalesce(r.said ->> 'account_status', 'active'), coalesce((r.said ->> 'minimum_minor')::bigint, 0),
             coalesce((r.said ->> 'maximum_minor')::bigint, 9007199254740991))
        """,
    ),
    Promise(
        "fee_schedules_recorded",
        "every fee schedule is the one whose hash was recorded",
        "fee schedules",
        """
        SELECT 'version ' || coalesce(f.version::text, j.said ->> 'version'),
            format('rules %s, stored hash %s, record %s',
            encode(sha256(f.rules), 'hex'), encode(f.sha256, 'hex'), coalesce(j.said ->> 'rules_sha256', 'missing'))
        FROM ledger.fee_schedules f
        FULL JOIN (SELECT shard, journal_index, convert_from(record, 'UTF8')::jsonb AS said FROM ledger.journal
                   WHERE kind = 'fees.published') j USING (shard, journal_index)
        WHERE (encode(sha256(f.rules), 'hex'), encode(f.sha256, 'hex'), f.version::text) IS DISTINCT FROM
              (j.said ->> 'rules_sha256', j.said ->> 'rules_sha256', j.said ->> 'version')
        """,
    ),
    Promise(
        "journal_complete",
        "the journal has as many records as its head says, numbered from 0",
        "records",
        """
        SELECT 'shard ' || h.shard, format('head says %s, %s records, newest %s', h.size, count(j.journal_index),
            max(j.journal_index))
        FROM ledger.heads h LEFT JOIN ledger.journal j USING (shard) GROUP BY h.shard, h.size
        HAVING count(j.journal_index) <> h.size OR coalesce(max(j.journal_index) + 1, 0) <> h.size
        """,
    ),
    Promise(
        "published",
        "the bus was told everything the journal holds",
        "records",
        """
        SELECT 'shard ' || shard, format('%s of %s records published', published_size, size) FROM ledger.heads
        WHERE published_size <> size AND last_record_at < now() - make_interval(secs => :grace::double precision)
        """,
        quick=True,
    ),
    Promise(
        "ledger_outbox",
        "the ledger has told the bus everything it committed",
        "rows in the outbox",
        """
        SELECT row_id::text, format('since %s', recorded_at) FROM ledger.outbox
        WHERE recorded_at < now() - make_interval(secs => :grace::double precision)
        """,
        quick=True,
    ),
)
