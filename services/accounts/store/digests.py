"""What accounts says of accounts and customers, as digests, so that others can compare without reading its tables."""

from typing import Final

# An account that is still opening is for the ledger to answer; until then both may be right.
DIGESTS: Final = {
    # Of the ledger's truth: what staff let an account do is noted beside where it stands here.
    "accounts": """
SELECT account_id AS id, concat_ws('|', owner_id, asset, account_number,
    CASE status WHEN 'closed' THEN status ELSE ledger_status END) AS said
FROM accounts.accounts_as_told WHERE status <> 'opening'
""",
    "owners": """
SELECT account_id AS id, concat_ws('|', owner_id, asset, status) AS said
FROM accounts.accounts_as_told WHERE status <> 'opening'
""",
    "profiles": "SELECT user_id AS id, profile AS said FROM accounts.profiles_as_told",
}
