"""The statements behind lists of transfers.

Each takes (accounts or shard, lowest place, highest place, places to look at, status or NULL). From one end it gives a
row for each place looked at: (place, whether a transfer to be listed begins there, whether places beyond the last were
left out, then the transfer, its first record and how far it is settled, or NULLs).
"""

from collections.abc import Mapping
from typing import Final

ACCOUNTS_OF_OWNER: Final = """
SELECT account_id::text, status = 'closed' FROM ledger.accounts WHERE owner_id = $1 ORDER BY account_id LIMIT $2
"""
SIZE_AT: Final = "SELECT ledger.size_at($1, $2)"

# The function is called once an account, behind OFFSET 0, and never for a row. Of a source that has more than was
# taken, nothing is known beyond the last row taken; `horizon` is where the first such source ends.
_PLACES_OF_ACCOUNTS: Final = """
WITH seen AS MATERIALIZED (
    SELECT a.account_id, true AS posted, e.journal_index, e.transfer_id
    FROM unnest($1::uuid[]) AS a (account_id)
    CROSS JOIN LATERAL (SELECT ledger.last_seq_by(a.account_id, {beyond}) AS seq OFFSET 0) AS bound
    CROSS JOIN LATERAL (
        SELECT journal_index, transfer_id FROM ledger.entries
        WHERE account_id = a.account_id AND seq {entries} bound.seq ORDER BY seq {order} LIMIT $4) AS e
    WHERE e.journal_index BETWEEN $2 AND $3
    UNION ALL
    SELECT a.account_id, false, u.journal_index, u.transfer_id
    FROM unnest($1::uuid[]) AS a (account_id)
    CROSS JOIN LATERAL (
        SELECT journal_index, transfer_id FROM ledger.unposted_transfers
        WHERE account_id = a.account_id AND journal_index BETWEEN $2 AND $3
        ORDER BY journal_index {order} LIMIT $4) AS u
), horizon AS MATERIALIZED (
    SELECT {nearest}(last) AS journal_index
    FROM (SELECT {farthest}(journal_index) AS last FROM seen GROUP BY account_id, posted HAVING count(*) = $4) AS cut
), place AS MATERIALIZED (
    SELECT DISTINCT journal_index, transfer_id FROM seen
    WHERE journal_index {within} coalesce((SELECT journal_index FROM horizon), {end})
    ORDER BY journal_index {order} LIMIT $4
)"""
_PLACES_OF_ALL: Final = """
WITH place AS MATERIALIZED (
    SELECT journal_index, transfer_id FROM ledger.journal
    WHERE shard = $1 AND journal_index BETWEEN $2 AND $3 ORDER BY journal_index {order} LIMIT $4
)"""
# A later record of a transfer is no place: the first one is where its legs stand, or the only one.
_TRANSFERS_THERE: Final = """
SELECT place.journal_index, shown.transfer_id IS NOT NULL, {is_cut}, shown.transfer_id::text, shown.kind,
    shown.status, shown.version, shown.code, shown.reasons, shown.changed_at, shown.attempts,
    shown.facts::text, first.record, shown.resolver, shown.captured_minor, shown.reversed_minor, shown.fees
FROM place
LEFT JOIN LATERAL (
    SELECT t.*, s.resolver, s.captured_minor, s.reversed_minor, s.fees
    FROM ledger.transfers t LEFT JOIN ledger.settlements s USING (transfer_id)
    WHERE t.transfer_id = place.transfer_id AND coalesce(s.legs_index, t.journal_index) = place.journal_index
        AND ($5::text IS NULL OR t.status = $5)) AS shown ON true
LEFT JOIN ledger.journal first ON first.shard = shown.shard AND first.journal_index = place.journal_index
ORDER BY place.journal_index {order}
"""
_OLDER: Final = {
    "order": "DESC",
    "beyond": "$3",
    "entries": "<=",
    "nearest": "max",
    "farthest": "min",
    "within": ">=",
    "end": "$2",
}
_NEWER: Final = {
    "order": "ASC",
    "beyond": "$2 - 1",
    "entries": ">",
    "nearest": "min",
    "farthest": "max",
    "within": "<=",
    "end": "$3",
}


def _listing(places: str, words: Mapping[str, str]) -> str:
    is_cut = "(SELECT journal_index FROM horizon) IS NOT NULL" if places is _PLACES_OF_ACCOUNTS else "false"
    return (places + _TRANSFERS_THERE).format(is_cut=is_cut, **words)


BY_ACCOUNTS: Final = {"next": _listing(_PLACES_OF_ACCOUNTS, _OLDER), "prev": _listing(_PLACES_OF_ACCOUNTS, _NEWER)}
"""side → the statement that lists transfers of accounts."""
BY_JOURNAL: Final = {"next": _listing(_PLACES_OF_ALL, _OLDER), "prev": _listing(_PLACES_OF_ALL, _NEWER)}
"""side → the statement that lists transfers of anybody."""
