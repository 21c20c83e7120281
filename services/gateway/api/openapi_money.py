"""The OpenAPI text of the hot routes, made by hand around the schemas of the types they really read."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

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

KEY_HEADER: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "1 to 255 printable ASCII characters, kept for ever. Same key, same body: the first outcome again.",
    "schema": {"type": "string", "maxLength": 255},
}
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
DRY_RUN_QUERY: Final[dict[str, Any]] = {
    "name": "dry_run",
    "in": "query",
    "required": False,
    "description": "`true` tells the outcome and changes nothing.",
    "schema": {"type": "boolean", "enum": [True]},
}
_PROBLEM: Final = {
    "content": {"application/problem+json": {"schema": {"type": "object", "description": "RFC 9457 with `code`."}}}
}


def _answer(description: str, schema: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, **_PROBLEM}


_COMMON: Final = {
    "400": _problem("`malformed_json`, `idempotency_key_missing`, `idempotency_key_invalid`"),
    "401": _problem("`token_missing`, `token_invalid`, `token_expired`"),
    "409": _problem("`request_in_progress`: a copy of this request is being stored at this moment"),
    "413": _problem("`body_too_large`"),
    "429": _problem("`rate_limited`"),
    "503": _problem("`overloaded`, `database_unavailable`: nothing was acknowledged, try again with the same key"),
}


def _operation(
    summary: str,
    description: str,
    body: str,
    responses: dict[str, Any],
    *,
    parameters: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    return {
        "post": {
            "tags": ["transfers"],
            "summary": summary,
            "description": description,
            "parameters": [*parameters, PREFER_HEADER],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{body}"}}},
            },
            "responses": {**responses, **_COMMON},
            "security": [{"bearer": []}],
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
    "403": _problem("Blocked by screening (`kyc_required`, `amount_limit_exceeded` …), or not your account."),
    "422": _problem("Refused by the ledger (`insufficient_funds`, `unknown_account` …), or a value is not acceptable."),
}

MONEY_PATHS: Final[dict[str, Any]] = {
    "/api/v1/transfers": _operation(
        "Transfer money",
        "Moves an amount, or several legs together, from your accounts. Answered when it is posted, or after the wait. "
        "With `hold` the money is reserved until you capture or void it, or `expires_in_seconds` are over. "
        "With `?dry_run=true` nothing happens: 200 says what would; no key is needed then.",
        "TransferIn",
        {"200": _answer("What would become of it; only with `dry_run=true`.", "DryRunView"), **_OUTCOMES},
        parameters=[DRY_RUN_QUERY, _KEY_UNLESS_DRY],
    ),
    "/api/v1/transfers/batch": _operation(
        "Transfer money many times",
        "Up to 1,000 transfers: `atomic` posts all or none, `independent` each on its own. Results keep the order.",
        "BatchIn",
        {
            "200": _answer("Mixed results.", "BatchOut"),
            "201": _answer("All posted.", "BatchOut"),
            "403": _problem("A source account is not yours (atomic only)."),
            "422": _answer("An atomic batch was refused, or the request is not acceptable.", "BatchOut"),
        },
    ),
    "/api/v1/deposits": _operation(
        "Credit an account from the reserve",
        "For operators: money that came in from outside.",
        "DepositIn",
        {**_OUTCOMES, "404": _problem("`account_not_found`")},
        parameters=[KEY_HEADER],
    ),
    "/api/v1/withdrawals": _operation(
        "Debit an account to the reserve",
        "For operators: money that goes out. Limits of the owner do not apply, the state of his account does.",
        "WithdrawalIn",
        {**_OUTCOMES, "404": _problem("`account_not_found`")},
        parameters=[KEY_HEADER],
    ),
}
