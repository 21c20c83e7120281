"""Fills a database with a consistent book of any size, by statements about sets.

Seqs have no gap, balances are the sums of their entries, every record stands in a block. Hashes are not real, and
nothing is signed: no read here looks at them. Of a hundred transfers two are refused and one stays held; one in ten
goes to one busy account and one in ten has metadata.
"""

from typing import Final

import asyncpg

from services.ledger.domain.system_accounts import reserve_of

_PLAN: Final = """
SET work_mem = '512MB';
SET maintenance_work_mem = '512MB';
SET synchronous_commit = off;
CREATE SCHEMA bench;
CREATE FUNCTION bench.account(number bigint) RETURNS uuid IMMUTABLE LANGUAGE sql
    RETURN md5('account ' || number)::uuid;
CREATE FUNCTION bench.owner(number bigint) RETURNS uuid IMMUTABLE LANGUAGE sql
    -- The first owner has five accounts, everybody else has one.
    RETURN md5('owner ' || CASE WHEN number BETWEEN 1 AND 5 THEN 1 ELSE number END)::uuid;
CREATE FUNCTION bench.spelled(moment timestamptz) RETURNS text IMMUTABLE LANGUAGE sql
    RETURN to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
CREATE UNLOGGED TABLE bench.plan (
    i bigint, id uuid, kind text, payer bigint, source uuid, payee bigint, destination uuid, amount_minor bigint,
    status text, at timestamptz
);
"""
# Everybody gets money first; a block has a hundred records of one time, ten milliseconds after the one before.
_PLANNED: Final = """
INSERT INTO bench.plan
SELECT i,
    (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(i % 100), 3, '0')
        || '8' || lpad(to_hex(i), 15, '0'))::uuid,
    CASE WHEN i < $1::bigint THEN 'deposit' ELSE 'transfer' END,
    payer, CASE WHEN i < $1::bigint THEN $3::uuid ELSE bench.account(payer) END,
    payee, bench.account(payee),
    CASE WHEN i < $1::bigint THEN 1000000000 ELSE 1 + abs(hashint8(-i)::bigint) % 10000 END,
    CASE WHEN i < $1::bigint THEN 'posted' WHEN i % 50 = 7 THEN 'refused' WHEN i % 100 = 11 THEN 'held'
        ELSE 'posted' END,
    at
FROM (
    SELECT i, at, payer,
        CASE WHEN i < $1::bigint THEN i WHEN payee = payer THEN (payee + 1) % $1::bigint ELSE payee END AS payee
    FROM (
        SELECT i, timestamptz '2026-01-01T00:00:00Z' + (i / 100) * interval '10 milliseconds' AS at,
            abs(hashint8(i)::bigint) % $1::bigint AS payer,
            CASE WHEN i % 10 = 3 THEN 0 ELSE abs(hashint8(i + 1000000007)::bigint) % $1::bigint END AS payee
        FROM generate_series(0::bigint, $1::bigint + $2::bigint - 1) AS i) AS chosen) AS legs
"""
_LEDGER: Final = (
    """
    INSERT INTO ledger.accounts (account_id, account_number, owner_id, asset, kind, status, opened_at)
    SELECT bench.account(n), 'B' || lpad(n::text, 15, '0'), bench.owner(n), 'USD', 'customer', 'active',
        timestamptz '2026-01-01T00:00:00Z'
    FROM generate_series(0::bigint, (SELECT count(*) FROM bench.plan WHERE kind = 'deposit') - 1) AS n
    """,
    """
    INSERT INTO ledger.entries
        (account_id, seq, transfer_id, amount_minor, balance_after_minor, posted_at, journal_index)
    SELECT account_id, row_number() OVER own, id, amount_minor, sum(amount_minor) OVER own, at, i
    FROM (
        SELECT source AS account_id, id, -amount_minor AS amount_minor, at, i FROM bench.plan WHERE status = 'posted'
        UNION ALL
        SELECT destination, id, amount_minor, at, i FROM bench.plan WHERE status = 'posted') AS leg
    WINDOW own AS (PARTITION BY account_id ORDER BY i ROWS UNBOUNDED PRECEDING)
    ORDER BY i, account_id
    """,
    """
    UPDATE ledger.accounts a
    SET posted_minor = sums.posted_minor, last_seq = sums.last_seq, version = sums.last_seq + 1
    FROM (SELECT account_id, count(*) AS last_seq, sum(amount_minor) AS posted_minor
          FROM ledger.entries GROUP BY account_id) AS sums
    WHERE a.account_id = sums.account_id
    """,
    """
    UPDATE ledger.accounts a SET pending_out_minor = a.pending_out_minor + held.amount_minor
    FROM (SELECT source, sum(amount_minor) AS amount_minor FROM bench.plan WHERE status = 'held'
          GROUP BY source) AS held
    WHERE a.account_id = held.source
    """,
    """
    UPDATE ledger.accounts a SET pending_in_minor = a.pending_in_minor + held.amount_minor
    FROM (SELECT destination, sum(amount_minor) AS amount_minor FROM bench.plan WHERE status = 'held'
          GROUP BY destination) AS held
    WHERE a.account_id = held.destination
    """,
    """
    INSERT INTO ledger.transfers (transfer_id, kind, status, version, code, reasons, shard, journal_index, changed_at)
    SELECT id, kind, status, 1, CASE status WHEN 'refused' THEN 'insufficient_funds' ELSE '' END, '{}', 0, i, at
    FROM bench.plan ORDER BY i
    """,
    """
    INSERT INTO ledger.settlements
    SELECT id, 0, i, 'caller', at + interval '7 days', 1, ARRAY[amount_minor], '{0}', '{0}', '[]', true
    FROM bench.plan WHERE status = 'held' ORDER BY i
    """,
    """
    INSERT INTO ledger.journal (shard, journal_index, kind, transfer_id, record, leaf_hash, chain_hash)
    SELECT 0, i, 'transfer.' || status, id, record, sha256(record), sha256(record)
    FROM (
        SELECT i, id, status, convert_to(format(
            '{"actor_id":"%s","code":"%s","decision_id":"%s","index":%s,"kind":"transfer.%s","legs":[{"amount_minor":%s,'
            '"asset":"USD","destination_account_id":"%s","source_account_id":"%s"}],"memo_commitment":"","reasons":[],'
            '"requested_at":"%s","ruleset":1,"shard":0,"time":"%s","transfer_id":"%s","transfer_kind":"%s",'
            '"verdict":"approve","version":1}',
            bench.owner(payer), CASE status WHEN 'refused' THEN 'insufficient_funds' ELSE '' END, id, i, status,
            amount_minor, destination, source, bench.spelled(at), bench.spelled(at), id, kind), 'UTF8') AS record
        FROM bench.plan) AS written
    ORDER BY i
    """,
    """
    INSERT INTO ledger.blocks (shard, size, previous_size, root, chain_hash, sealed_at)
    SELECT 0, max(i) + 1, min(i), sha256(int8send(max(i))), sha256(int8send(max(i))), min(at)
    FROM bench.plan GROUP BY i / 100 ORDER BY 2
    """,
    """
    UPDATE ledger.heads SET size = newest.size, last_record_at = newest.at
    FROM (SELECT max(i) + 1 AS size, max(at) AS at FROM bench.plan) AS newest
    """,
)
_GATEWAY: Final = (
    """
    INSERT INTO gateway.transfers
        (transfer_id, principal_id, scope, idempotency_key, body_hash, command, memo, memo_salt, accepted_at)
    SELECT id, bench.owner(payer), 'transfers', i::text, sha256(int8send(i)), convert_to(format(
        '{"transfer_id":"%s","kind":"transfer","actor_id":"%s","payer":{"user_id":"%s","kyc_tier":2,"kyc_version":1},'
        '"payees":[{"user_id":"%s","kyc_tier":2,"kyc_version":1}],"legs":[{"source_account_id":"%s",'
        '"destination_account_id":"%s","amount_minor":%s,"asset":"USD","destination_owner_id":"%s"}],'
        '"memo_commitment":"","requested_at":"%s"}',
        id, bench.owner(payer), bench.owner(payer), bench.owner(payee), source, destination, amount_minor,
        bench.owner(payee), bench.spelled(at)), 'UTF8'),
        CASE WHEN i % 10 = 4 THEN
            convert_to(format('{"metadata":{"channel":"web","invoice":"%s"}}', i), 'UTF8') END,
        CASE WHEN i % 10 = 4 THEN '\\x00'::bytea END, at
    FROM bench.plan WHERE kind = 'transfer' ORDER BY i
    """,
    """
    INSERT INTO gateway.outcomes (transfer_id, status, version, code, reasons, facts, journal_index, occurred_at)
    SELECT id, status, 1, CASE status WHEN 'refused' THEN 'insufficient_funds' ELSE '' END, '{}', '{}', i,
        bench.spelled(at)
    FROM bench.plan WHERE kind = 'transfer' ORDER BY i
    """,
)


async def fill(dsn: str, *, transfers: int, accounts: int) -> None:
    """Write a book of that many transfers between that many funded accounts, as the administrator."""
    connection = await asyncpg.connect(dsn, command_timeout=None)
    try:
        await connection.execute(_PLAN)
        await connection.execute(_PLANNED, accounts, transfers, reserve_of("USD"))
        await connection.execute("ANALYZE bench.plan")
        for statement in (*_LEDGER, *_GATEWAY):
            await connection.execute(statement)
        await connection.execute("VACUUM (ANALYZE)")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()
