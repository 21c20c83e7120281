"""What each operation answers to whom: every operation of the merged document has its line here.

The seven cells of a line are for the owner of what it is about, another customer, and one of each staff role: support,
compliance, operator, auditor, admin. Four more follow from the line: an API key of the owner's, with all scopes that he
may give it, is answered as he is, but 403 where only people who logged in are let in; without a valid credential a
public operation answers as to everybody, and any other one 401.

A cell of 401, 403 or 404 is tried with a request that would do its work for somebody else. With any other status a
change is tried so that it does nothing: with a body that is refused after the gate, with a parameter that is refused
(422), or about what does not exist (`absent`, which is answered 404). `200|202|409` is any of the three: such work may
be done, be under way, or wait for another's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

STAFF = ("support", "compliance", "operator", "auditor", "admin")
COLUMNS = ("owner", "other", *STAFF)
API_KEY = "api key"
ABSENT = "absent"


@dataclass(frozen=True)
class Resources:
    """What the owner has, by the names of path parameters, and what bodies name."""

    user_id: str
    account_id: str
    payee_account_id: str
    other_account_id: str
    transfer_id: str
    hold_id: str
    key_id: str
    session_id: str
    machine_id: str
    machine_key_id: str


Body = Callable[[Resources], Any]


@dataclass(frozen=True)
class Line:
    """Statuses, one for each of `COLUMNS` or one for all, and how the operation is tried."""

    statuses: str
    body: Body | None = None
    """What would do the work."""
    about: Mapping[str, str] | None = None
    """Path parameter → attribute of `Resources`, or a value of its own after `=`."""
    query: str = ""
    refused_query: str = ""
    """What keeps an operation without a body from doing anything where 422 is expected."""
    public: bool = False
    person_only: bool = False
    """Whether an API key is refused, whatever its scopes."""

    def status(self, column: str) -> str:
        """Return the status of a column, or of the owner's API key."""
        if column == API_KEY:
            return "403" if self.person_only else self.status("owner")
        cells = self.statuses.split()
        return cells[0] if len(cells) == 1 else cells[COLUMNS.index(column)]


def path_of(template: str, line: Line, has: Resources, expected: str) -> str:
    """Return the path with the parameters filled in, as it is tried where this status is expected."""
    path, unknown = template, expected == ABSENT
    for part in template.split("/"):
        if part.startswith("{"):
            name = part.strip("{}")
            place = (line.about or {}).get(name, name)
            value = place[1:] if place.startswith("=") else str(uuid4()) if unknown else getattr(has, place)
            path = path.replace(part, value)
    return path + line.query + (line.refused_query if expected == "422" else "")


def _money(has: Resources) -> dict[str, Any]:
    return {
        "source_account_id": has.account_id,
        "destination_account_id": has.payee_account_id,
        "amount_minor": 1,
        "asset": "USD",
    }


def _cash(has: Resources) -> dict[str, Any]:
    return {"account_id": has.account_id, "amount_minor": 1, "asset": "USD", "reference": "cash"}


_ANYBODY = {"email": "nobody@example.com", "password": "a password of nobody"}
_NO_PARAMETER = "?nobody_knows_this_parameter=1"
_KEY = {"name": "a key", "scopes": ["accounts:read"]}
_TRANSFER = {"transfer_id": "transfer_id"}
_HOLD = {"transfer_id": "hold_id"}
_RETAIL = {
    "min_minor": 1,
    "max_minor": 100,
    "day_sum_minor": 100,
    "hour_count": 1,
    "day_count": 1,
    "reason": "tried",
}
_MACHINE = {"user_id": "machine_id", "key_id": "machine_key_id"}
_NO_WEBHOOK = {"webhook_id": "user_id"}
_NO_DOCUMENT = {"document_id": "user_id"}
_NO_BATCH = {"batch_id": "user_id"}

TABLE: Mapping[str, Line] = {
    # Customers and their log-ins
    "POST /api/v1/users": Line("422", public=True),
    "GET /api/v1/me": Line("200"),
    "GET /api/v1/me/export": Line("200", person_only=True),
    "PATCH /api/v1/me": Line("422", body=lambda _: {"full_name": "Mallory"}, person_only=True),
    "POST /api/v1/me/email": Line("422", body=lambda _: {"email": "mallory@example.com"}, person_only=True),
    "POST /api/v1/me/email/confirm": Line("422", person_only=True),
    # The owner has money; nobody else has, and would be closed.
    "DELETE /api/v1/me": Line("409 422 422 422 422 422 422", refused_query=_NO_PARAMETER, person_only=True),
    "GET /api/v1/auth/jwks": Line("200", public=True),
    "POST /api/v1/auth/login": Line("422", public=True),
    "POST /api/v1/auth/logout": Line("422", public=True),
    "POST /api/v1/auth/refresh": Line("422", public=True),
    "POST /api/v1/auth/verify-email": Line("422", public=True),
    "POST /api/v1/auth/verify-email/resend": Line("422", public=True),
    "POST /api/v1/auth/password": Line("422", person_only=True),
    "POST /api/v1/auth/password-reset": Line("422", public=True),
    "POST /api/v1/auth/password-reset/confirm": Line("422", public=True),
    "GET /api/v1/auth/sessions": Line("200", person_only=True),
    "DELETE /api/v1/auth/sessions": Line("204", person_only=True),
    "DELETE /api/v1/auth/sessions/{session_id}": Line("absent 404 404 404 404 404 404", person_only=True),
    "POST /api/v1/auth/step-up": Line("422", person_only=True),
    "POST /api/v1/auth/totp": Line("422", refused_query=_NO_PARAMETER, person_only=True),
    "POST /api/v1/auth/totp/confirm": Line("422", person_only=True),
    "DELETE /api/v1/auth/totp": Line("403", person_only=True),
    # API keys
    "GET /api/v1/api-keys": Line("200", person_only=True),
    "POST /api/v1/api-keys": Line("422", body=lambda _: _KEY, person_only=True),
    "DELETE /api/v1/api-keys/{key_id}": Line("absent 404 404 404 404 404 404", person_only=True),
    "GET /api/v1/admin/service-accounts": Line("403 403 403 403 403 200 200"),
    "POST /api/v1/admin/service-accounts": Line(
        "403 403 403 403 403 403 422", body=lambda _: {"name": "x", "roles": ["customer"]}
    ),
    "DELETE /api/v1/admin/service-accounts/{user_id}": Line("403 403 403 403 403 403 absent", about=_MACHINE),
    "GET /api/v1/admin/service-accounts/{user_id}/keys": Line("403 403 403 403 403 200 200", about=_MACHINE),
    "POST /api/v1/admin/service-accounts/{user_id}/keys": Line(
        "403 403 403 403 403 403 422", about=_MACHINE, body=lambda _: _KEY
    ),
    "DELETE /api/v1/admin/service-accounts/{user_id}/keys/{key_id}": Line(
        "403 403 403 403 403 403 absent", about=_MACHINE
    ),
    # What staff change about customers
    "PUT /api/v1/admin/users/{user_id}/profile": Line(
        "403 403 403 422 403 403 422", body=lambda _: {"profile": "business"}
    ),
    "PUT /api/v1/admin/users/{user_id}/roles": Line(
        "403 403 403 403 403 403 422", body=lambda _: {"roles": ["customer", "admin"]}
    ),
    "DELETE /api/v1/admin/users/{user_id}": Line("403 403 403 403 403 403 absent"),
    "POST /api/v1/admin/users/{user_id}/restore": Line("403 403 403 403 403 403 absent"),
    "GET /api/v1/admin/erasures": Line("403 403 403 200 403 200 200"),
    "PUT /api/v1/admin/users/{user_id}/erasure": Line("403 403 403 absent 403 403 absent"),
    "DELETE /api/v1/admin/users/{user_id}/erasure": Line("403 403 403 absent 403 403 absent", query="?reason=mistaken"),
    "POST /api/v1/admin/users/{user_id}/erasure/approve": Line("403 403 403 absent 403 403 absent"),
    # Accounts
    "GET /api/v1/accounts": Line("200"),
    "POST /api/v1/accounts": Line("422 422 403 403 403 403 403", body=lambda _: {"asset": "USD"}),
    "GET /api/v1/accounts/{account_id}": Line("200 404 200 200 200 200 200"),
    "PATCH /api/v1/accounts/{account_id}": Line("422 404 404 404 404 404 404", body=lambda _: {"name": "Mine"}),
    "GET /api/v1/accounts/{account_id}/balance": Line("200 404 200 200 200 200 200"),
    "GET /api/v1/accounts/{account_id}/entries": Line("200 404 200 200 200 200 200"),
    "GET /api/v1/accounts/{account_id}/statement": Line("200 404 200 200 200 200 200"),
    "PUT /api/v1/accounts/{account_id}/primary": Line("200 404 404 404 404 404 404"),
    "POST /api/v1/accounts/{account_id}/close": Line("422 404 404 404 404 404 404", body=lambda _: {}),
    "PUT /api/v1/admin/accounts/{account_id}/status": Line(
        "403 403 403 422 422 403 403", body=lambda _: {"status": "frozen", "reason": "tried"}
    ),
    "PUT /api/v1/admin/accounts/{account_id}/limits": Line(
        "403 403 403 403 422 403 403", body=lambda _: {"min_balance_minor": -5}
    ),
    "DELETE /api/v1/admin/accounts/{account_id}": Line("403 403 403 403 403 403 absent"),
    "POST /api/v1/admin/accounts/{account_id}/restore": Line("403 403 403 403 403 403 absent"),
    # Money
    "POST /api/v1/transfers": Line("422 403 403 403 403 403 403", body=_money),
    "POST /api/v1/transfers/batch": Line(
        "422 403 403 403 403 403 403",
        body=lambda has: {"mode": "atomic", "transfers": [{**_money(has), "idempotency_key": str(uuid4())}]},
    ),
    "GET /api/v1/transfers": Line("200 200 200 200 200 200 200"),
    "GET /api/v1/transfers/{transfer_id}": Line("200 404 200 200 200 200 200", about=_TRANSFER),
    "GET /api/v1/transfers/{transfer_id}/receipt": Line("200 404 200 200 200 200 200", about=_TRANSFER),
    "GET /api/v1/transfers/{transfer_id}/reversals": Line("200 404 200 200 200 200 200", about=_TRANSFER),
    "POST /api/v1/transfers/{transfer_id}/reversals": Line(
        "403 404 403 403 422 403 403", about=_TRANSFER, body=lambda _: {"reason": "tried"}
    ),
    "POST /api/v1/transfers/{transfer_id}/capture": Line("422 404 403 403 422 403 403", about=_HOLD, body=lambda _: {}),
    "POST /api/v1/transfers/{transfer_id}/void": Line("422 404 403 403 422 403 403", about=_HOLD, body=lambda _: {}),
    "POST /api/v1/deposits": Line("403 403 403 403 422 403 403", body=_cash),
    "POST /api/v1/withdrawals": Line("403 403 403 403 422 403 403", body=_cash),
    "GET /api/v1/fee-schedules/{version}": Line("200", about={"version": "=current"}),
    "POST /api/v1/admin/fee-schedules": Line(
        "403 403 403 403 422 403 403", body=lambda _: {"effective_at": "2030-01-01T00:00:00Z", "rules": []}
    ),
    # Files of transfers: nobody sent one
    "GET /api/v1/batches": Line("200"),
    "POST /api/v1/batches": Line("415"),
    "GET /api/v1/batches/{batch_id}": Line("absent", about=_NO_BATCH),
    "POST /api/v1/batches/{batch_id}/cancel": Line("404", about=_NO_BATCH),
    "GET /api/v1/batches/{batch_id}/results": Line("absent", about=_NO_BATCH),
    "GET /api/v1/events": Line("200"),
    # Webhooks: nobody has one here, so each is about what does not exist
    "GET /api/v1/webhooks": Line("200"),
    "POST /api/v1/webhooks": Line("422"),
    "GET /api/v1/webhooks/{webhook_id}": Line("absent", about=_NO_WEBHOOK),
    "PATCH /api/v1/webhooks/{webhook_id}": Line("404", about=_NO_WEBHOOK, body=lambda _: {}),
    "DELETE /api/v1/webhooks/{webhook_id}": Line("absent", about=_NO_WEBHOOK),
    "GET /api/v1/webhooks/{webhook_id}/deliveries": Line("absent", about=_NO_WEBHOOK),
    "POST /api/v1/webhooks/{webhook_id}/replay": Line("422", about=_NO_WEBHOOK),
    "POST /api/v1/webhooks/{webhook_id}/secret": Line("404", about=_NO_WEBHOOK, body=lambda _: {}),
    "POST /api/v1/webhooks/{webhook_id}/test": Line("absent", about=_NO_WEBHOOK),
    # Screening and verification
    "GET /api/v1/kyc/status": Line("200"),
    "GET /api/v1/kyc/application": Line("200 200 404 404 404 404 404", person_only=True),
    "POST /api/v1/kyc/application": Line(
        "422 422 403 403 403 403 403",
        body=lambda _: {"full_name": "Mallory", "birth_date": "1990-01-01", "country": "DE"},
    ),
    "POST /api/v1/kyc/information": Line("422 422 403 403 403 403 403", refused_query=_NO_PARAMETER),
    "POST /api/v1/kyc/tier": Line("422 422 403 403 403 403 403", body=lambda _: {"tier": 2}),
    "DELETE /api/v1/kyc/tier": Line("422 422 403 403 403 403 403", refused_query=_NO_PARAMETER),
    "GET /api/v1/kyc/documents": Line("200"),
    "POST /api/v1/kyc/documents": Line("422 422 403 403 403 403 403", person_only=True),
    "DELETE /api/v1/kyc/documents/{document_id}": Line("404", about=_NO_DOCUMENT, person_only=True),
    "GET /api/v1/admin/kyc/{user_id}/documents": Line("403 403 403 200 403 403 403"),
    "GET /api/v1/admin/kyc/{user_id}/documents/{document_id}/content": Line(
        "403 403 403 404 403 403 403", about=_NO_DOCUMENT, query="?reason=review"
    ),
    "GET /api/v1/admin/kyc/reviews": Line("403 403 403 200 403 200 403"),
    "GET /api/v1/admin/kyc/{user_id}": Line("403 403 403 200 403 403 403", query="?reason=review"),
    "POST /api/v1/admin/kyc/{user_id}/claim": Line("403 403 403 absent 403 403 403"),
    "DELETE /api/v1/admin/kyc/{user_id}/claim": Line("403 403 403 absent 403 403 403"),
    "POST /api/v1/admin/kyc/{user_id}/ask": Line(
        "403 403 403 422 403 403 403", body=lambda _: {"version": 1, "needs": ["tax_number"], "reason": "x"}
    ),
    "POST /api/v1/admin/kyc/{user_id}/suspend": Line("403 403 403 422 403 403 403", body=lambda _: {"reason": "x"}),
    "POST /api/v1/admin/kyc/{user_id}/resume": Line("403 403 403 422 403 403 403", body=lambda _: {"reason": "x"}),
    "PUT /api/v1/admin/kyc/{user_id}/risk": Line(
        "403 403 403 422 403 403 403", body=lambda _: {"high_risk": True, "reason": "x"}
    ),
    "POST /api/v1/admin/kyc/{user_id}/approve": Line(
        "403 403 403 422 403 403 403", body=lambda _: {"version": 1, "reason": "x"}
    ),
    "POST /api/v1/admin/kyc/{user_id}/decline": Line(
        "403 403 403 422 403 403 403", body=lambda _: {"version": 1, "reason": "x"}
    ),
    "POST /api/v1/admin/kyc/{user_id}/reject": Line(
        "403 403 403 422 403 403 403", body=lambda _: {"version": 1, "reason": "x"}
    ),
    "GET /api/v1/admin/fraud/decisions/{transfer_id}": Line("403 403 403 200 403 200 200", about=_TRANSFER),
    "GET /api/v1/admin/fraud/decisions/by-id/{decision_id}": Line(
        "403 403 403 404 403 404 404", about={"decision_id": "user_id"}
    ),
    "GET /api/v1/admin/fraud-stats": Line(
        "403 403 200 200 200 200 200", query="?start_date=2026-01-01&end_date=2026-12-31"
    ),
    "GET /api/v1/limits": Line("200"),
    "GET /api/v1/admin/fraud/customers/{user_id}/limits": Line("403 403 200 200 403 200 200"),
    "PUT /api/v1/admin/fraud/customers/{user_id}/limits": Line(
        "403 403 403 422 403 403 403", body=lambda _: {"max_minor": 100, "reason": "tried"}
    ),
    "DELETE /api/v1/admin/fraud/customers/{user_id}/limits": Line(
        "403 403 403 absent 403 403 403", query="?reason=tried"
    ),
    "GET /api/v1/admin/fraud/rulesets": Line("403 403 403 200 403 200 200"),
    "GET /api/v1/admin/fraud/rulesets/{version}": Line("403 403 403 200 403 200 200", about={"version": "=2"}),
    "POST /api/v1/admin/fraud/rulesets": Line(
        "403 403 403 422 403 403 403", body=lambda _: {"document": "rules: []", "reason": "tried"}
    ),
    "POST /api/v1/admin/fraud/rulesets/{version}/approve": Line(
        "403 403 403 422 403 403 422", about={"version": "=2"}, body=lambda _: {"reason": "tried"}
    ),
    **{
        f"POST /api/v1/admin/fraud/rulesets/{{version}}/{move}": Line(
            "403 403 403 422 403 403 403", about={"version": "=2"}, body=lambda _: {"reason": "tried"}
        )
        for move in ("live", "shadow", "unshadow")
    },
    **{
        f"GET /api/v1/admin/fraud/rulesets/{{version}}/{what}": Line(
            "403 403 403 200 403 200 200",
            about={"version": "=2"},
            query="?start_date=2026-01-01&end_date=2026-12-31",
        )
        for what in ("shadow", "shadow/changed")
    },
    "GET /api/v1/admin/fraud/aml-figures/{profile}": Line("403 403 403 200 403 200 200", about={"profile": "=retail"}),
    "GET /api/v1/admin/fraud/aml-figures/{profile}/versions": Line(
        "403 403 403 200 403 200 200", about={"profile": "=retail"}
    ),
    "POST /api/v1/admin/fraud/aml-figures/{profile}/versions": Line(
        "403 403 403 422 403 403 403", about={"profile": "=retail"}, body=lambda _: {"figures": {}, "reason": "tried"}
    ),
    "POST /api/v1/admin/fraud/aml-figures/{profile}/versions/{version}/approve": Line(
        "403 403 403 422 403 403 422",
        about={"profile": "=retail", "version": "=1000000"},
        body=lambda _: {"reason": "tried"},
    ),
    "GET /api/v1/admin/fraud/lists": Line("403 403 403 200 403 200 200"),
    "POST /api/v1/admin/fraud/lists": Line(
        "403 403 403 422 403 403 403",
        body=lambda at: {"list": "deny", "subject": "sender", "value": at.user_id, "reason": "tried"},
    ),
    "POST /api/v1/admin/fraud/lists/{entry_id}/remove": Line(
        "403 403 403 422 403 403 403", about={"entry_id": "user_id"}, body=lambda _: {"reason": "tried"}
    ),
    "GET /api/v1/admin/fraud/limit-profiles/{profile}": Line(
        "403 403 200 200 200 200 200", about={"profile": "=retail"}
    ),
    "PUT /api/v1/admin/fraud/limit-profiles/{profile}": Line(
        "403 403 403 422 403 403 403", about={"profile": "=retail"}, body=lambda _: _RETAIL
    ),
    "GET /api/v1/admin/fraud/limit-tiers/{tier}": Line("403 403 200 200 200 200 200", about={"tier": "=1"}),
    "PUT /api/v1/admin/fraud/limit-tiers/{tier}": Line(
        "403 403 403 422 403 403 403", about={"tier": "=1"}, body=lambda _: {"max_minor": 100, "reason": "tried"}
    ),
    "GET /api/v1/admin/fraud/usd-rates/{asset}": Line("403 403 200 200 200 200 200", about={"asset": "=EUR"}),
    "PUT /api/v1/admin/fraud/usd-rates/{asset}": Line(
        "403 403 403 422 422 403 403",
        about={"asset": "=EUR"},
        body=lambda _: {"numerator": 1, "denominator": 1, "reason": "tried"},
    ),
    # The owner's transfer was never held for a review
    "GET /api/v1/admin/fraud/reviews": Line("403 403 403 200 403 200 200", person_only=True),
    "GET /api/v1/admin/fraud/reviews/{transfer_id}": Line(
        "403 403 403 404 403 404 404", about=_TRANSFER, person_only=True
    ),
    "PUT /api/v1/admin/fraud/reviews/{transfer_id}/claim": Line(
        "403 403 403 404 403 403 403", about=_TRANSFER, person_only=True
    ),
    "DELETE /api/v1/admin/fraud/reviews/{transfer_id}/claim": Line(
        "403 403 403 404 403 403 403", about=_TRANSFER, person_only=True
    ),
    "POST /api/v1/admin/fraud/reviews/{transfer_id}/comments": Line(
        "403 403 403 404 403 403 403", about=_TRANSFER, body=lambda _: {"text": "tried"}, person_only=True
    ),
    "POST /api/v1/admin/fraud/reviews/{transfer_id}/approve": Line(
        "403 403 403 404 403 403 403", about=_TRANSFER, body=lambda _: {"reason": "tried"}, person_only=True
    ),
    "POST /api/v1/admin/fraud/reviews/{transfer_id}/reject": Line(
        "403 403 403 404 403 403 403", about=_TRANSFER, body=lambda _: {"reason": "tried"}, person_only=True
    ),
    "POST /api/v1/admin/fraud/bulk-reviews/approve": Line(
        "403 403 403 422 403 403 403",
        body=lambda has: {"transfer_ids": [has.transfer_id], "reason": "tried"},
        person_only=True,
    ),
    "POST /api/v1/admin/fraud/bulk-reviews/reject": Line(
        "403 403 403 422 403 403 403",
        body=lambda has: {"transfer_ids": [has.transfer_id], "reason": "tried"},
        person_only=True,
    ),
    # What was found after posting: nobody has such an alert here, so each is about what does not exist
    "GET /api/v1/admin/fraud/alerts": Line("403 403 403 200 403 200 403", person_only=True),
    "GET /api/v1/admin/fraud/alerts/{alert_id}": Line(
        "403 403 403 404 403 404 403", about={"alert_id": "user_id"}, person_only=True
    ),
    "POST /api/v1/admin/fraud/alerts/{alert_id}/claim": Line(
        "403 403 403 404 403 403 403", about={"alert_id": "user_id"}, person_only=True
    ),
    "POST /api/v1/admin/fraud/alerts/{alert_id}/state": Line(
        "403 403 403 422 403 403 403",
        about={"alert_id": "user_id"},
        body=lambda _: {"state": "closed_confirmed", "reason": "x"},
        person_only=True,
    ),
    "POST /api/v1/admin/fraud/alerts/{alert_id}/notes": Line(
        "403 403 403 422 403 403 403", about={"alert_id": "user_id"}, body=lambda _: {"note": "x"}, person_only=True
    ),
    # Proof, and the audit log
    "GET /api/v1/transparency/checkpoint": Line("200", public=True),
    "GET /api/v1/transparency/key": Line("200", public=True),
    "GET /api/v1/transparency/consistency": Line("200", public=True, query="?first=1&second=2"),
    "GET /api/v1/transparency/inclusion": Line("200", public=True, query="?index=0&size=1"),
    "GET /api/v1/admin/ledger/trial-balance": Line("403 403 403 403 200 200 200"),
    "GET /api/v1/admin/ledger/findings": Line("403 403 403 403 403 200 200"),
    "POST /api/v1/admin/ledger/verify": Line("403 403 403 403 403 200|202|409 200|202|409"),
    "POST /api/v1/admin/ledger/verify/{account_id}": Line("403 403 403 403 403 200|202|409 200|202|409"),
    "GET /api/v1/admin/ledger/verifications/{verification_id}": Line(
        "403 403 403 403 403 404 404", about={"verification_id": "user_id"}
    ),
    "POST /api/v1/admin/ledger/release": Line("403 403 403 403 403 403 422", body=lambda _: {"reason": "x"}),
    "GET /api/v1/admin/reconciliation": Line("403 403 403 403 403 200 200"),
    "POST /api/v1/admin/reconciliation": Line("403 403 403 403 403 200|202|409 200|202|409"),
    "GET /api/v1/admin/reconciliation/{run_id}": Line("403 403 403 403 403 404 404", about={"run_id": "user_id"}),
    "GET /api/v1/admin/audit-logs": Line("403 403 403 200 403 200 200"),
    # The documents of the interface itself
    "GET /errors": Line("200", public=True),
    "GET /errors/{code}": Line("200", public=True, about={"code": "=role_required"}),
    "GET /health/live": Line("200", public=True),
    "GET /health/ready": Line("200", public=True),
}
