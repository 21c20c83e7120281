"""The OpenAPI text of the hot routes, made by hand around the schemas of the types they really read."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from libs.common.contracts.transfers import DEVICE_CHARACTERS_MAX
from libs.common.http.error_codes import OF_A_TRANSFER, codes_of, error_codes
from libs.common.http.openapi import ACTION_MEMBER, problem_of
from libs.common.idempotency_keys import KEY_HEADER
from services.gateway.api.batches import BatchOut
from services.gateway.domain.requests import BatchIn, DepositIn, TransferIn, WithdrawalIn
from services.gateway.views.reversals import ReversalPage
from services.gateway.views.transfer_lists import TransferPage
from services.gateway.views.transfers import DryRunView, TransferView

_SCHEMAS, _COMPONENTS = msgspec.json.schema_components(
    [TransferIn, BatchIn, DepositIn, WithdrawalIn, TransferView, DryRunView, BatchOut, TransferPage, ReversalPage],
    ref_template="#/components/schemas/{name}",
)
MONEY_SCHEMAS: Final[dict[str, Any]] = _COMPONENTS

_KEY_UNLESS_DRY: Final[dict[str, Any]] = {
    **KEY_HEADER,
    "required": False,
    "description": f"Required, except with `dry_run=true`, which reads none. {KEY_HEADER['description']}",
}
PREFER_HEADER: Final[dict[str, Any]] = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "`wait=n` (0 to 30 s; 5 by default) or `respond-async` (RFC 7240).",
    "schema": {"type": "string"},
}
DEVICE_HEADER: Final[dict[str, Any]] = {
    "name": "Tallystick-Device",
    "in": "header",
    "required": False,
    "description": "What your app calls the device it runs on; screening tells known devices from new ones by it.",
    "schema": {"type": "string", "maxLength": DEVICE_CHARACTERS_MAX, "pattern": "^[!-~]*$"},
    "example": "phone-5f0c2b1e",
}
DRY_RUN_QUERY: Final[dict[str, Any]] = {
    "name": "dry_run",
    "in": "query",
    "required": False,
    "description": "`true` tells the outcome and changes nothing. Whether the payee may hold that much is not told.",
    "schema": {"type": "boolean", "enum": [True]},
}


def _answer(description: str, schema: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


_COMMON: Final = {
    "400": problem_of(
        "It cannot be read.", "malformed_json", "idempotency_key_missing", "idempotency_key_invalid", "device_invalid"
    ),
    "401": problem_of("Nobody we know.", "token_missing", "token_invalid", "token_expired"),
    "409": problem_of("A copy of this request is being stored at this moment.", "request_in_progress"),
    "413": problem_of("The body is too large.", "body_too_large"),
    "429": problem_of("Too many in this minute.", "rate_limited"),
    "503": problem_of(
        "Nothing was acknowledged; try again with the same key.",
        "overloaded",
        "ledger_halted",
        "accounts_unavailable",
        "database_unavailable",
    ),
}
_BEFORE: Final = (
    "invalid_request",
    "number_not_whole",
    "query_not_understood",
    "legs_or_single",
    "expiry_without_hold",
    "asset_unknown",
    "idempotency_key_reused",
)
_BLOCKS: Final = tuple(code for code in codes_of(OF_A_TRANSFER) if error_codes()[code].status == "403")
_OF_BATCHES: Final = codes_of("Atomic batches")
_REFUSALS: Final = tuple(code for code in codes_of(OF_A_TRANSFER) if error_codes()[code].status == "422")


def _operation(
    summary: str,
    description: str,
    body: str,
    responses: dict[str, Any],
    *,
    action: str,
    example: dict[str, Any],
    parameters: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    return {
        "post": {
            "tags": ["transfers"],
            "summary": summary,
            "description": description,
            "parameters": [*parameters, PREFER_HEADER, DEVICE_HEADER],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": {"$ref": f"#/components/schemas/{body}"}, "example": example}
                },
            },
            "responses": {**responses, **_COMMON},
            ACTION_MEMBER: action,
        }
    }


_OUTCOMES: Final = {
    "201": _answer(
        "Posted: the money has moved, the receipt exists. Or `held` as you asked: `resolver` is `caller`.",
        "TransferView",
    ),
    "202": _answer(
        "Durable and not final: `accepted`, or `held` for a review. `Location` says where to ask.", "TransferView"
    ),
    "403": problem_of("Blocked by screening, or not your account.", "source_account_not_yours", *_BLOCKS),
    "422": problem_of("Refused by the ledger, or a value is not acceptable.", *_BEFORE, *_REFUSALS),
}
_NO_ACCOUNT: Final = {"404": problem_of("There is no such account.", "account_not_found")}
_SINGLE: Final = {
    "source_account_id": "0198f3a2-7c41-7d10-9f5e-2b6c7d8e9f01",
    "destination_account_id": "0198f3a2-7c41-7d10-9f5e-2b6c7d8e9f03",
    "amount_minor": 1250,
    "asset": "USD",
    "description": "Rent for March",
}
_DEPOSIT: Final = {
    "account_id": "0198f3a2-7c41-7d10-9f5e-2b6c7d8e9f01",
    "amount_minor": 100_000,
    "asset": "USD",
    "reference": "SEPA 2026-03-01 0042",
}


def _refused_batch() -> dict[str, Any]:
    """Return the two forms of a 422: results by item of an atomic batch that was refused, or a problem of it all."""
    problem = problem_of(
        "The request is not acceptable.", "duplicate_idempotency_key", *_BEFORE, *_OF_BATCHES, *_REFUSALS
    )
    results = _answer("An atomic batch was refused.", "BatchOut")
    return {**problem, "content": {**results["content"], **problem["content"]}}


MONEY_PATHS: Final[dict[str, Any]] = {
    "/api/v1/transfers": _operation(
        "Transfer money",
        "Moves an amount, or several legs together, from your accounts. Answered when it is posted, or after the wait. "
        "With `hold` the money is reserved until you capture or void it, or `expires_in_seconds` are over. "
        "With `?dry_run=true` nothing happens: 200 says what would; no key is needed then.",
        "TransferIn",
        {"200": _answer("What would become of it; only with `dry_run=true`.", "DryRunView"), **_OUTCOMES},
        action="transfer.create",
        example=_SINGLE,
        parameters=[DRY_RUN_QUERY, _KEY_UNLESS_DRY],
    ),
    "/api/v1/transfers/batch": _operation(
        "Transfer money many times",
        "`atomic` posts all or none of up to 1,000 transfers, `independent` each of up to 10,000 on its own. "
        "Results keep the order.",
        "BatchIn",
        {
            "200": _answer("Mixed results.", "BatchOut"),
            "201": _answer("All posted.", "BatchOut"),
            "403": problem_of(
                "A source account is not yours (atomic only).", "source_account_not_yours", "own_account"
            ),
            "422": _refused_batch(),
        },
        action="transfer.create",
        example={"mode": "independent", "transfers": [{"idempotency_key": "payroll-2026-03-0001", **_SINGLE}]},
    ),
    "/api/v1/deposits": _operation(
        "Credit an account from the reserve",
        "For operators: money that came in from outside.",
        "DepositIn",
        {**_OUTCOMES, **_NO_ACCOUNT},
        action="deposit.create",
        example=_DEPOSIT,
        parameters=[KEY_HEADER],
    ),
    "/api/v1/withdrawals": _operation(
        "Debit an account to the reserve",
        "For operators: money that goes out. Limits of the owner do not apply, the state of his account does.",
        "WithdrawalIn",
        {**_OUTCOMES, **_NO_ACCOUNT},
        action="withdrawal.create",
        example=_DEPOSIT,
        parameters=[KEY_HEADER],
    ),
}
