"""One sentence for people about each code that the ledger or fraud says no with, and one with its numbers.

The numbers are the payer's own. Nobody else's may stand in a fact: what the payee holds, or may hold, is no business of
the payer, so refusals that speak of it carry no facts, and their sentences do not say which account it was.
"""

from collections.abc import Collection, Mapping
from typing import Final

DETAILS: Final = {
    "account_closed": "One of the accounts is closed; use another.",
    "account_frozen": "The source account is frozen; nothing can be debited from it.",
    "account_not_empty": "The account holds something, or something is pending on it; only an empty one is closed.",
    "account_not_found": "There is no such account.",
    "account_not_owned": "A source account belongs to somebody else.",
    "account_suspended": "One of the accounts is suspended; nothing can be moved.",
    "amount_below_minimum": "The amount is below the smallest that can be sent.",
    "amount_limit_exceeded": "The amount is above what one transfer may move; send less.",
    "amounts_by_leg": "Name one amount for each leg of the transfer, in their order, not all of them zero.",
    "asset_without_rate": "Nobody has said yet what the asset is worth in US dollars, so that no limit can be checked.",
    "asset_mismatch": "An account does not hold the asset of its leg.",
    "balance_limit_exceeded": "An account would come to hold more than it may.",
    "balance_overflow": "The resulting balance would be larger than 2^53-1 minor units.",
    "batch_refused": "Another transfer of this atomic batch was not possible, so none was made.",
    "capture_exceeds_hold": "The hold has less left than should be captured; remaining_minor says how much.",
    "daily_amount_limit_exceeded": "The sum of the last 24 hours would be above its limit; try again at resets_at.",
    "daily_count_limit_exceeded": "The number of transfers in the last 24 hours has reached its limit; see resets_at.",
    "fee_falls": "A larger amount would pay less at the beginning of a tier; its fee must not fall.",
    "fee_out_of_bounds": "A part of the fee is below zero or above the whole, or its minimum above its maximum.",
    "fee_rules_out_of_bounds": "There are too many rules or exempt accounts, or two rules have one id.",
    "fee_tiers_invalid": "The tiers of a rule begin at 0 and go up, 20 at most.",
    "held_by_review": "The transfer waits for a review, which alone ends this hold.",
    "hold_expired": "The hold's time is up; its money is available again.",
    "hold_in_atomic_batch": "An atomic batch posts at once or not at all, so nothing in it can be held; send it alone.",
    "hourly_count_limit_exceeded": "The number of transfers in the last hour has reached its limit; see resets_at.",
    "insufficient_funds": "The source account has less available than the transfer needs.",
    "kyc_expired": "The payee was not verified in time; the money is available again.",
    "kyc_required": "Verify your identity first: POST /api/v1/kyc/application.",
    "limit_above_cap": "Nobody's limit goes beyond the cap.",
    "maximum_below_balance": "The account holds more than that, or more is on its way to it.",
    "minimum_above_balance": "The account holds less than that, once what is reserved is deducted.",
    "minimum_above_maximum": "The least would be above the most.",
    "payee_kyc_rejected": "The payee could not be verified; the money is available again.",
    "reversal_exceeds_transfer": "The transfer has less left to give back; remaining_minor says how much.",
    "review_expired": "The transfer could not be looked at in time; the money is available again.",
    "same_account": "Source and destination must be two different accounts.",
    "system_account": "This is an account of the house, which stays as it is.",
    "transfer_not_found": "The ledger knows no such transfer; if it was accepted just now, ask for it first.",
    "transfer_not_held": "The transfer is not held, or not any more; transfer_status says what it is.",
    "transfer_not_permitted": "This transfer cannot be made; ask support.",
    "transfer_not_reversible": "Only a posted transfer that is no reversal itself can be reversed.",
    "unknown_account": "One of the accounts does not exist or cannot be used for transfers.",
    "unusual_activity": "This transfer was stopped because it is unusual for you; ask support.",
    "voided_by_caller": "The hold was voided; its money is available again.",
}

EXACT: Final = {
    "amount_below_minimum": "{requested_minor} of asset {asset} is less than {limit_minor}, the smallest amount.",
    "amount_limit_exceeded": "{requested_minor} of asset {asset} is more than {limit_minor}, the most of one transfer.",
    "amounts_by_leg": "The transfer has {legs} legs: it takes one amount for each, not all of them zero.",
    "daily_amount_limit_exceeded": "{used_minor} of asset {asset} in 24 hours and {requested_minor} now are more than "
    "{limit_minor}.",
    "daily_count_limit_exceeded": "{used_count} transfers in 24 hours have reached the limit of {limit_count}.",
    "hourly_count_limit_exceeded": "{used_count} transfers in an hour have reached the limit of {limit_count}.",
    "insufficient_funds": "Available {available_minor}{of_asset} is less than {needed_minor}.",
    "reversal_exceeds_transfer": "{requested_minor} is more than the {remaining_minor} left to give back.",
}
"""code → the sentence with the facts that the code comes with; amounts are minor units."""


def detail_of(code: str) -> str:
    """Return one sentence for people about a refusal's or block's code."""
    return DETAILS.get(code, "It was not possible; the code says why.")


def failure_reason(code: str, facts: Mapping[str, int | str], assets: Collection[str]) -> str:
    """Return why a transfer failed, in one sentence: with its numbers if there are facts; empty for an empty code.

    `assets` are those of its legs. Give no facts for a reader who may not know them.
    """
    if not code:
        return ""
    of_asset = f" of asset {next(iter(assets))}" if len(assets) == 1 else ""
    try:
        return EXACT[code].format(of_asset=of_asset, **facts)
    except KeyError:  # of this code nothing more is said, or not with these facts
        return detail_of(code)
