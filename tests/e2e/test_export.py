"""A customer takes along what every service of the running stack holds about him, and nothing of others."""

import io
import json
from hashlib import sha256
from typing import Any
from zipfile import ZipFile

from tests.e2e.api_client import PASSWORD, Api, new_key, transfer, wait_until


def test_a_customer_takes_along_all_that_is_held_about_him_and_nobody_elses(api: Api) -> None:
    owner, other = api.person("exporter", funds_minor=1_000), api.person("bystander", funds_minor=500)
    paid = [api.pay(owner, other, amount).json()["transfer_id"] for amount in (10, 20, 30)]
    unrelated = api.pay(other, api.person("third"), 5).json()["transfer_id"]
    body = transfer(owner, other, 7, hold=True)
    held = api.post("/transfers", body, token=owner.token, key=new_key()).json()["transfer_id"]
    api.post("/webhooks", {"url": "https://shop.example/hook"}, token=owner.token)
    api.post("/api-keys", {"name": "my till", "scopes": ["accounts:read"]}, token=owner.token)

    answer = api.get("/me/export", owner.token)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip"), answer.text
    with ZipFile(io.BytesIO(answer.content)) as archive:
        raw = {name: archive.read(name) for name in archive.namelist()}
    files: dict[str, Any] = {name: json.loads(content) for name, content in raw.items()}

    account = f"accounts/{owner.account_id}"
    assert (files["profile.json"]["email"], files["profile.json"]["full_name"]) == (owner.email, owner.full_name)
    assert files["kyc-application.json"]["birth_date"] == "1990-01-01"
    assert files["kyc-status.json"]["status"] == "approved"
    assert files[f"{account}/balances.json"]["posted_minor"] == 940
    assert files[f"{account}/statement.json"]["closing_balance_minor"] == 940
    assert len(files[f"{account}/statement.json"]["entries"]) == 4
    assert {*paid, held} <= {one["transfer_id"] for one in files[f"{account}/transfers.json"]}
    assert [one["transfer_id"] for one in files[f"{account}/holds.json"]] == [held]
    assert [one["url"] for one in files["webhooks.json"]] == ["https://shop.example/hook"]
    assert [one["name"] for one in files["api-keys.json"]] == ["my till"]
    assert len(files["sessions.json"]) == 1
    told = {one["transfer_id"]: one["verdict"] for one in files["decisions.json"]}
    assert told == dict.fromkeys((*paid, held), "approve"), "of his own transfers, not of the deposit that he got"
    assert files["audit-log.json"]

    everything = b"".join(raw.values()).decode()
    for text in (other.email, other.full_name, unrelated):
        assert text not in everything
    listed = {file["name"]: file["sha256"] for file in files["manifest.json"]["files"]}
    assert listed == {name: sha256(raw[name]).hexdigest() for name in raw if name != "manifest.json"}


def test_who_came_back_takes_his_deleted_account_along_with_what_the_ledger_keeps_of_it(api: Api) -> None:
    owner, admin = api.person("returner", funds_minor=100), {"Authorization": f"Bearer {api.admin_token}"}
    assert api.pay(owner, api.person("heir"), 100).status_code == 201
    mine = {"Authorization": f"Bearer {owner.token}"}
    wait_until("his money to be gone", lambda: api.http.delete("/api/v1/me", headers=mine).status_code == 204)
    deleted = api.http.delete(f"/api/v1/admin/accounts/{owner.account_id}", headers=admin)
    restored = api.post(f"/admin/users/{owner.user_id}/restore", token=api.admin_token)
    assert (deleted.status_code, restored.status_code) == (204, 200), (deleted.text, restored.text)
    token = api.log_in(owner.email, PASSWORD).json()["access_token"]
    assert api.get("/accounts", token).json()["accounts"] == []
    with ZipFile(io.BytesIO(api.get("/me/export", token).content)) as archive:
        [account] = json.loads(archive.read("accounts.json"))
        statement = json.loads(archive.read(f"accounts/{owner.account_id}/statement.json"))
    assert (account["account_id"], account["status"], bool(account["deleted_at"])) == (owner.account_id, "closed", True)
    assert len(statement["entries"]) == 2
