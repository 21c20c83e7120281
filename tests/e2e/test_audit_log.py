"""What people did through the gateway stands in the audit log, with from where and under which request."""

from tests.e2e.api_client import Api, Person, new_key, wait_until


def shown(api: Api, query: str) -> dict[str, dict[str, str]]:
    """The newest entries that the query finds, by action."""
    answer = api.get(f"/admin/audit-logs?{query}", api.admin_token)
    assert answer.status_code == 200, answer.text
    return {entry["action"]: entry for entry in answer.json()["entries"]}


def test_each_step_is_shown_with_its_address_and_request_id(api: Api, alice: Person, bob: Person) -> None:
    transfer = api.pay(alice, bob, 1)
    refused = api.get("/admin/audit-logs", bob.token)
    assert (transfer.status_code, refused.status_code) == (201, 403)
    expected = {"account.open", "verification.apply", "transfer.create"}
    query = f"user_id={alice.user_id}"
    wait_until("what Alice did is collected", lambda: expected <= shown(api, query).keys(), seconds=60)
    transfer_id = transfer.json()["transfer_id"]
    by_transfer = f"resource_type=transfer&resource_id={transfer_id}"
    wait_until("her address is kept", lambda: shown(api, by_transfer)["transfer.create"]["address"] != "", seconds=60)
    entry = shown(api, by_transfer)["transfer.create"]
    assert (entry["actor_id"], entry["address"], entry["outcome"]) == (alice.user_id, "127.0.0.1", "done")
    assert entry["request_id"] == transfer.headers["x-request-id"]
    of_bob = f"user_id={bob.user_id}&action=audit.read"
    wait_until("what Bob may not is collected", lambda: "audit.read" in shown(api, of_bob), seconds=60)
    entry = shown(api, of_bob)["audit.read"]
    assert (entry["outcome"], entry["reason"], entry["request_id"]) == (
        "refused",
        "role_required",
        refused.headers["x-request-id"],
    )


def test_what_staff_have_the_ledger_do_is_shown_once_as_the_ledger_decided_it(api: Api, alice: Person) -> None:
    headers = {"Authorization": f"Bearer {api.admin_token}", "Idempotency-Key": new_key()}
    path, body = f"/api/v1/admin/accounts/{alice.account_id}/limits", {"minimum_minor": 0, "reason": "to be seen"}
    answer, again = (api.http.put(path, json=body, headers=headers) for _ in range(2))
    assert (answer.status_code, again.headers["idempotency-replayed"]) == (200, "true"), answer.text
    query = f"/admin/audit-logs?resource_id={alice.account_id}&action=account.set_limits"
    wait_until(
        "what the ledger did is collected", lambda: bool(api.get(query, api.admin_token).json()["entries"]), seconds=60
    )
    [entry] = api.get(query, api.admin_token).json()["entries"]
    assert (entry["service"], entry["address"], entry["outcome"]) == ("ledger", "127.0.0.1", "done")
    assert entry["request_id"] == answer.headers["x-request-id"]
