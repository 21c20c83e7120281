"""Promises about balances, entries and the accounts of the house."""

from typing import Final

from services.ledger.domain.system_accounts import CHART, system_accounts_of
from services.ledger.store.promises.promise import Promise

_KINDS: Final = ", ".join(
    f"('{account.account_number}', '{CHART[account.account_number][0]}', '{CHART[account.account_number][1]}',"
    f" {account.minimum_minor}::bigint)"
    for account in system_accounts_of("USD")  # every asset has the same
)

BALANCES: Final = (
    Promise(
        "trial_balance",
        "the balances of each asset sum up to zero",
        "accounts",
        """
        SELECT asset, format('{%s %s} too many', sum(posted_minor), asset) FROM ledger.accounts
        GROUP BY asset HAVING sum(posted_minor) <> 0
        """,
        quick=True,
    ),
    Promise(
        "entries_balance",
        "the entries of each transfer sum up to zero in each asset",
        "transfers with entries",
        """
        SELECT e.transfer_id::text, format('{%s %s} too many', sum(e.amount_minor), a.asset)
        FROM ledger.entries e JOIN ledger.accounts a USING (account_id)
        WHERE :accounts::uuid[] IS NULL OR e.transfer_id IN (
            SELECT transfer_id FROM ledger.entries WHERE account_id = ANY(:accounts))
        GROUP BY e.transfer_id, a.asset HAVING sum(e.amount_minor) <> 0
        """,
        per_account=True,
    ),
    Promise(
        "entries_of_moved",
        "what was posted or captured has entries, and nothing else has any",
        "transfers",
        """
        SELECT transfer_id::text, format('status %s, %s entries', coalesce(t.status, 'unknown'), coalesce(e.number, 0))
        FROM ledger.transfers t
        FULL JOIN (SELECT transfer_id, count(*) AS number FROM ledger.entries GROUP BY transfer_id) e
            USING (transfer_id)
        LEFT JOIN ledger.settlements s USING (transfer_id)
        WHERE (e.number IS NOT NULL) IS DISTINCT FROM (t.status = 'posted' OR (t.status = 'held'
            AND EXISTS (SELECT FROM unnest(s.captured_minor) AS c (minor) WHERE c.minor > 0)))
        """,
    ),
    Promise(
        "balances",
        "balance = sum of entries = last balance_after",
        "accounts",
        """
        SELECT a.account_id::text, format('balance {%1$s %4$s}, entries {%2$s %4$s}, last balance_after {%3$s %4$s}',
            a.posted_minor, coalesce(e.total, 0), coalesce(l.balance_after_minor, 0), a.asset)
        FROM ledger.accounts a
        LEFT JOIN (SELECT account_id, sum(amount_minor) AS total, max(seq) AS newest FROM ledger.entries
                   WHERE :accounts::uuid[] IS NULL OR account_id = ANY(:accounts) GROUP BY account_id) e
            USING (account_id)
        LEFT JOIN ledger.entries l ON l.account_id = a.account_id AND l.seq = e.newest
        WHERE (:accounts::uuid[] IS NULL OR a.account_id = ANY(:accounts))
          AND (a.posted_minor, a.posted_minor) IS DISTINCT FROM
              (coalesce(e.total, 0)::bigint, coalesce(l.balance_after_minor, 0))
        """,
        per_account=True,
    ),
    Promise(
        "entry_sequence",
        "an account's entries are numbered from 1 without a gap",
        "accounts",
        """
        SELECT account_id::text, format('last_seq %s, newest entry %s, %s entries', a.last_seq, coalesce(e.newest, 0),
            coalesce(e.number, 0))
        FROM ledger.accounts a
        FULL JOIN (SELECT account_id, max(seq) AS newest, count(*) AS number FROM ledger.entries
                   WHERE :accounts::uuid[] IS NULL OR account_id = ANY(:accounts) GROUP BY account_id) e
            USING (account_id)
        WHERE (:accounts::uuid[] IS NULL OR account_id = ANY(:accounts))
          AND (a.last_seq, a.last_seq) IS DISTINCT FROM (coalesce(e.newest, 0), coalesce(e.number, 0))
        """,
        per_account=True,
    ),
    Promise(
        "running_balances",
        "each balance_after is the one before plus the amount",
        "entries",
        """
        SELECT account_id::text, format('seq %1$s: {%2$s %5$s} is not {%3$s %5$s} + {%4$s %5$s}', seq,
            balance_after_minor, before, amount_minor, coalesce(a.asset, 'an account that is gone'))
        FROM (SELECT *, lag(balance_after_minor, 1, 0::bigint) OVER (PARTITION BY account_id ORDER BY seq) AS before
              FROM ledger.entries WHERE :accounts::uuid[] IS NULL OR account_id = ANY(:accounts)) e
        LEFT JOIN ledger.accounts a USING (account_id)
        WHERE balance_after_minor <> before + amount_minor
        """,
        per_account=True,
    ),
    Promise(
        "system_accounts",
        "every asset has its reserve, treasury, fees, suspense and transit account",
        "accounts of the house",
        f"""
        SELECT w.account_number || ' ' || w.code, coalesce(concat_ws(' ', a.kind, a.status, a.type, a.code,
            a.minimum_minor), 'missing; `tallystick migrate` makes it')
        FROM (SELECT kinds.account_number, assets.code, kinds.type, kinds.chart, kinds.minimum_minor
              FROM ledger.assets, (VALUES {_KINDS}) AS kinds (account_number, type, chart, minimum_minor)) AS w
        LEFT JOIN ledger.accounts a ON a.account_number = w.account_number AND a.asset = w.code
        WHERE (a.kind, a.status, a.type, a.code, a.minimum_minor)
              IS DISTINCT FROM ('system', 'active', w.type, w.chart, w.minimum_minor)
        """,  # noqa: S608 -- of constants written in the domain
        quick=True,
    ),
)
