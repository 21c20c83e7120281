"""Which refusals of a request that fits the document are business, and so no fault of the document.

JSON Schema describes one value by itself. It cannot say what depends on other data (a token that was mailed, a
balance), on two fields together, on the clock, or on a list that is longer than a document (countries, common
passwords). Such a refusal has a code of its own, and the operation's document names it. Every other 400, 413, 414, 415
and 422 in answer to a request that fits is a failure: most of all `invalid_request`, `malformed_json`,
`malformed_request`, `query_not_understood`, `content_type_not_accepted` and `idempotency_key_invalid`. 401, 403, 404,
409 and 429 are always about who asks, or about what is stored.
"""

from typing import Final

_BY_WHAT_IS_STORED: Final = {
    "cursor_invalid",
    "idempotency_key_reused",
    "journal_index_out_of_range",
    "last_event_id_invalid",
    "limit_above_cap",
    "replay_too_large",
    "reset_token_invalid",
    "scope_not_allowed",
    "size_out_of_range",
    "too_many_accounts",
    "totp_code_wrong",
    "verification_token_invalid",
}
_BY_TWO_FIELDS_TOGETHER: Final = {
    "amount_or_amounts",
    "atomic_batch_too_large",
    "aml_figures_contradict",
    "conflicting_parameters",
    "duplicate_idempotency_key",
    "expiry_without_hold",
    "hold_in_atomic_batch",
    # `POST /transfers` needs a key unless it is `?dry_run=true`.
    "idempotency_key_missing",
    "legs_or_single",
    "period_too_long",
    "list_entry_invalid",
    "limits_empty",
    "same_account",
}
_BY_THE_CLOCK: Final = {"birth_date_in_future", "expiry_not_later", "moment_in_future", "under_age"}
_BY_A_LIST_OR_A_GRAMMAR: Final = {
    "asset_unknown",
    "batch_file_empty",
    "batch_file_unreadable",
    "birth_date_invalid",
    # What a file must be no schema says.
    "document_active",
    "document_encrypted",
    "document_mislabelled",
    "document_too_many_pages",
    "document_too_many_pixels",
    "document_unreadable",
    "email_invalid",
    "network_invalid",
    # To JSON Schema 320.0 is an integer; an amount of money is written without a fraction.
    "number_not_whole",
    "password_common",
    "password_personal",
    "role_not_for_machines",
    # What a rule set must be no schema says.
    "ruleset_invalid",
    "unknown_asset",
    "unknown_country",
    "unknown_role",
    "usd_rate_fixed",
    "webhook_url_refused",
}
# What the ledger or the screening decides: the money is not there, the account is frozen, the fee rules contradict.
_BY_THE_BOOKS: Final = {
    "account_closed",
    "account_frozen",
    "account_limit_reached",
    "account_not_empty",
    "account_not_owned",
    "account_suspended",
    "amounts_by_leg",
    "asset_mismatch",
    "balance_limit_exceeded",
    "balance_overflow",
    "batch_refused",
    "capture_exceeds_hold",
    "fee_falls",
    "fee_out_of_bounds",
    "fee_rules_out_of_bounds",
    "fee_tiers_invalid",
    "hold_expired",
    "insufficient_funds",
    "maximum_below_balance",
    "minimum_above_balance",
    "minimum_above_maximum",
    "reversal_exceeds_transfer",
    "system_account",
    "transfer_not_held",
    "transfer_not_reversible",
    "unknown_account",
}
BUSINESS_REFUSALS: Final = frozenset(
    _BY_WHAT_IS_STORED | _BY_TWO_FIELDS_TOGETHER | _BY_THE_CLOCK | _BY_A_LIST_OR_A_GRAMMAR | _BY_THE_BOOKS
)
