"""A request with every fault at once is refused for the first; mended, for the next: the order that the docs give."""

from typing import Any
from uuid import uuid4

from tests.e2e.api_client import Api, Person, code_of, new_key

BEYOND_ANY_TRANSFER = 100_000_001


def test_the_first_fault_of_a_transfer_decides(api: Api, alice: Person, bob: Person) -> None:
    payer, used = api.person("henry", verified=False), new_key()
    made = {"name": "reads", "scopes": ["transfers:read"]}
    reader = api.post("/api-keys", made, token=payer.token, key=new_key()).json()["key"]
    account = {"asset": "EUR"}
    euros = api.post("/accounts", account, token=payer.token, key=new_key()).json()["account_id"]
    good = {
        "source_account_id": payer.account_id,
        "destination_account_id": bob.account_id,
        "amount_minor": 1,
        "asset": "USD",
    }
    nowhere = str(uuid4())

    def send(body: object = None, *, key: str | None = None, query: str = "", token: str = payer.token) -> object:
        content = b"{" if body is None else None
        return code_of(api.post(f"/transfers{query}", body, token=token or None, key=key, content=content))

    def body(**changes: Any) -> dict[str, Any]:
        return {name: value for name, value in {**good, **changes}.items() if value is not None}

    foreign = {"source_account_id": alice.account_id}
    assert send(body(amount_minor=1), key=used) == "kyc_required"  # blocked for good under this key
    refusals = [
        ("token_missing", send(query="?x=1", token="")),
        ("scope_required", send(query="?x=1", token=reader)),
        ("query_not_understood", send(query="?x=1")),
        ("idempotency_key_missing", send()),
        ("malformed_json", send(key=used)),
        ("invalid_request", send(body(amount_minor=0, expires_in_seconds=9, asset=None), key=used)),
        ("expiry_without_hold", send(body(expires_in_seconds=9, asset=None), key=used)),
        ("legs_or_single", send(body(asset=None), key=used)),
        ("asset_unknown", send(body(asset="XXX", destination_account_id=payer.account_id), key=used)),
        ("same_account", send(body(asset="EUR", destination_account_id=payer.account_id), key=used)),
        ("source_account_not_yours", send(body(asset="EUR", **foreign), key=used)),
        ("asset_mismatch", send(body(asset="EUR"), key=used)),
        ("idempotency_key_reused", send(body(amount_minor=BEYOND_ANY_TRANSFER), key=used)),
        ("kyc_required", send(body(amount_minor=BEYOND_ANY_TRANSFER, destination_account_id=nowhere), key=new_key())),
    ]
    api.verify(payer)
    refusals += [
        ("amount_limit_exceeded", send(body(amount_minor=BEYOND_ANY_TRANSFER), key=new_key())),
        ("unknown_account", send(body(destination_account_id=nowhere), key=new_key())),
        ("asset_mismatch", send(body(destination_account_id=euros), key=new_key())),
    ]
    staff = {"Authorization": f"Bearer {api.admin_token}", "Idempotency-Key": new_key()}
    frozen = {"status": "frozen", "reason": "to see what comes first"}
    changed = api.http.put(f"/api/v1/admin/accounts/{payer.account_id}/status", json=frozen, headers=staff)
    assert changed.status_code == 200, changed.text
    refusals.append(("account_frozen", send(body(), key=new_key())))
    staff["Idempotency-Key"] = new_key()
    active = {**frozen, "status": "active"}
    assert api.http.put(changed.request.url.path, json=active, headers=staff).status_code == 200
    refusals.append(("insufficient_funds", send(body(), key=new_key())))
    assert [code for _, code in refusals] == [code for code, _ in refusals]
