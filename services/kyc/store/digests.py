"""How far customers are trusted, as digests: what others should have heard. No personal data is in it."""

from typing import Final

DIGESTS: Final = {
    "verifications": "SELECT user_id AS id, concat_ws('|', CASE WHEN tier > 0 THEN 'approved' ELSE status END, tier,"
    " version) AS said FROM kyc.verifications",
    "tiers": "SELECT user_id AS id, concat_ws('|', tier, version) AS said FROM kyc.verifications",
}
