"""How many things a promise looks at: an auditor wants to know what "nothing differs" was said of."""

from types import MappingProxyType
from typing import Final

from services.ledger.domain.system_accounts import NUMBERS

COUNTED: Final = MappingProxyType(
    {
        "accounts": """
            SELECT count(*) FROM ledger.accounts WHERE :accounts::uuid[] IS NULL OR account_id = ANY(:accounts)
        """,
        "accounts of the house": f"SELECT count(*) * {len(NUMBERS)} FROM ledger.assets",  # noqa: S608 -- of a constant
        "customers' accounts": "SELECT count(*) FROM ledger.accounts WHERE kind = 'customer'",
        "entries": """
            SELECT count(*) FROM ledger.entries WHERE :accounts::uuid[] IS NULL OR account_id = ANY(:accounts)
        """,
        "transfers": """
            SELECT CASE WHEN :accounts::uuid[] IS NULL THEN (SELECT count(*) FROM ledger.transfers)
                ELSE (SELECT count(DISTINCT transfer_id) FROM ledger.entries WHERE account_id = ANY(:accounts)) END
        """,
        "transfers with entries": """
            SELECT count(*) FROM (
                SELECT FROM ledger.entries WHERE :accounts::uuid[] IS NULL OR account_id = ANY(:accounts)
                GROUP BY transfer_id) AS moved
        """,
        "settlements": "SELECT count(*) FROM ledger.settlements",
        "reversals": "SELECT count(*) FROM ledger.reversals",
        "commands": "SELECT count(*) FROM ledger.commands",
        "records of commands": """
            SELECT count(*) FROM ledger.journal
            WHERE kind IN ('command.refused', 'account.changed', 'fees.published', 'transfer.captured')
        """,
        "fee schedules": "SELECT count(*) FROM ledger.fee_schedules",
        "records": "SELECT coalesce(sum(size), 0)::bigint FROM ledger.heads",
        "rows in the outbox": "SELECT count(*) FROM ledger.outbox",
    }
)
"""things → how many there are, by `:accounts` (null: all) where a promise that looks at them is kept per account."""
