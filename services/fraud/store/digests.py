"""What fraud has been told of accounts and customers, as digests: whoever told it can see whether it arrived."""

from typing import Final

# What was not heard of yet has no row, or only the values it began with.
DIGESTS: Final = {
    "owners": """
SELECT account_id AS id, concat_ws('|', owner_id, asset, status) AS said FROM fraud.accounts WHERE status <> 'opening'
""",
    "profiles": "SELECT user_id AS id, profile AS said FROM fraud.users WHERE profile_version > 0",
    "verifications": """
SELECT user_id AS id, concat_ws('|', kyc_status, kyc_tier, kyc_version) AS said FROM fraud.users WHERE kyc_version > 0
""",
}
