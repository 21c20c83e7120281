"""Promises about what is held, captured and given back."""

from typing import Final

from services.ledger.store.promises.promise import Promise

HOLDS: Final = (
    Promise(
        "held_amounts",
        "what accounts have pending is what open holds still reserve",
        "accounts",
        """
        WITH legs AS (
            SELECT part.leg, (part.leg ->> 'amount_minor')::bigint - s.captured_minor[part.position] AS minor
            FROM ledger.settlements s
            JOIN ledger.journal j ON j.shard = s.shard AND j.journal_index = s.legs_index
            CROSS JOIN LATERAL jsonb_array_elements(convert_from(j.record, 'UTF8')::jsonb -> 'legs')
                WITH ORDINALITY AS part (leg, position)
            WHERE s.is_open
        ), reserved AS (
            SELECT account_id, sum(going_out) AS going_out, sum(coming_in) AS coming_in FROM (
                SELECT (leg ->> 'source_account_id')::uuid, minor, 0 FROM legs
                UNION ALL
                SELECT (leg ->> 'destination_account_id')::uuid, 0, minor FROM legs
            ) AS sides (account_id, going_out, coming_in) GROUP BY account_id
        )
        SELECT account_id::text,
            format('pending out {%1$s %5$s}, held {%2$s %5$s}; pending in {%3$s %5$s}, held {%4$s %5$s}',
            coalesce(a.pending_out_minor, 0), coalesce(going_out, 0), coalesce(a.pending_in_minor, 0),
            coalesce(coming_in, 0), coalesce(a.asset, 'an account that is gone'))
        FROM ledger.accounts a FULL JOIN reserved USING (account_id)
        WHERE (:accounts::uuid[] IS NULL OR account_id = ANY(:accounts))
          AND (a.pending_out_minor, a.pending_in_minor) IS DISTINCT FROM
              (coalesce(going_out, 0)::bigint, coalesce(coming_in, 0)::bigint)
        """,
        per_account=True,
        quick=True,
    ),
    Promise(
        "open_holds",
        "a transfer is held as long as its settlement is open",
        "transfers",
        """
        SELECT t.transfer_id::text, format('status %s, settlement %s', t.status,
            CASE WHEN s.is_open THEN 'open' WHEN s.is_open IS NULL THEN 'missing' ELSE 'closed' END)
        FROM ledger.transfers t LEFT JOIN ledger.settlements s USING (transfer_id)
        WHERE (t.status = 'held') <> coalesce(s.is_open, false)
        """,
    ),
    Promise(
        "settlements_recorded",
        "how far a transfer is captured and reversed is what its newest record says",
        "settlements",
        """
        SELECT s.transfer_id::text, format('minor units by leg: captured %s, record %s; reversed %s, record %s',
            s.captured_minor, r.captured, s.reversed_minor, r.reversed)
        FROM ledger.settlements s
        JOIN ledger.transfers t USING (transfer_id)
        LEFT JOIN ledger.journal j ON j.shard = t.shard AND j.journal_index = t.journal_index
        LEFT JOIN LATERAL (SELECT convert_from(j.record, 'UTF8')::jsonb AS said) AS read ON true
        LEFT JOIN LATERAL (SELECT
            ARRAY(SELECT jsonb_array_elements_text(said -> 'captured_minor')::bigint) AS captured,
            ARRAY(SELECT jsonb_array_elements_text(said -> 'reversed_minor')::bigint) AS reversed) AS r ON true
        CROSS JOIN LATERAL (SELECT array_fill(0::bigint, ARRAY[cardinality(s.amounts_minor)]) AS none) AS z
        WHERE (s.resolver <> '' AND s.captured_minor <> CASE WHEN r.captured = '{}' THEN z.none ELSE r.captured END)
           OR s.reversed_minor <> CASE WHEN r.reversed = '{}' THEN z.none ELSE r.reversed END
        """,
    ),
    Promise(
        "reversals",
        "a transfer is reversed by as much as its reversals give back",
        "settlements",
        """
        SELECT transfer_id::text, format('minor units: settlement says %s, reversals %s', coalesce(s.total, 0),
            coalesce(r.total, 0))
        FROM (SELECT transfer_id, (SELECT sum(minor) FROM unnest(reversed_minor) AS m (minor)) AS total
              FROM ledger.settlements) s
        FULL JOIN (SELECT transfer_id, sum(minor) AS total FROM ledger.reversals, unnest(amounts_minor) AS m (minor)
                   GROUP BY transfer_id) r USING (transfer_id)
        WHERE coalesce(s.total, 0) <> coalesce(r.total, 0)
        """,
    ),
    Promise(
        "reversals_recorded",
        "every reversal in the history is a posted transfer with its record, and every such transfer is in the history",
        "reversals",
        """
        SELECT coalesce(r.reversal_id, t.transfer_id)::text,
            format('history: %s minor units of %s; transfer: %s; record: %s',
            (SELECT sum(minor) FROM unnest(r.amounts_minor) AS m (minor)), r.transfer_id, t.status,
            j.said ->> 'reverses')
        FROM ledger.reversals r
        FULL JOIN (SELECT * FROM ledger.transfers WHERE kind = 'reversal' AND status = 'posted') t
            ON t.transfer_id = r.reversal_id
        LEFT JOIN LATERAL (
            SELECT convert_from(record, 'UTF8')::jsonb AS said FROM ledger.journal
            WHERE shard = r.shard AND journal_index = r.journal_index AND transfer_id = r.reversal_id) j ON true
        WHERE r.reversal_id IS NULL OR t.transfer_id IS NULL
           OR (j.said ->> 'reverses')::uuid IS DISTINCT FROM r.transfer_id
           OR (SELECT sum(minor) FROM unnest(r.amounts_minor) AS m (minor)) IS DISTINCT FROM
              (SELECT sum((leg ->> 'amount_minor')::bigint) FROM jsonb_array_elements(j.said -> 'legs') AS l (leg))
        """,
    ),
)
