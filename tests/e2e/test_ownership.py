"""Every operation is tried as everybody: who may not learns nothing and changes nothing."""

import asyncio
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any
from zipfile import ZipFile

import asyncpg
import jwt
import pytest

from libs.common.http.permissions import scopes_open_to
from tests.e2e.api_client import Api, Person, new_key, staff, transfer, wait_until
from tests.e2e.ownership_table import ABSENT, API_KEY, COLUMNS, STAFF, TABLE, Line, Resources, path_of
from tests.support.saying import Say

REFUSED = {"401", "403", "404"}
WITH = (*COLUMNS, API_KEY)
WITHOUT = ("revoked key", "expired token", "nobody")
ONE_PATH_OF_EACH = {
    "/api/v1/me",
    "/api/v1/kyc/status",
    "/api/v1/transparency/key",
    "/api/v1/admin/fraud/decisions/{transfer_id}",
}
"""A path that accounts answers, one of kyc, of the ledger and of fraud."""
HARMLESS_BODY = {"nobody_knows_this_field": 1}
HAS_BODY = {"POST", "PUT", "PATCH"}
UNTOUCHED = (
    "accounts.customers",
    "accounts.accounts",
    "accounts.service_accounts",
    "accounts.authenticators",
    "accounts.email_changes",
    "accounts.erasures",
    "fraud.decisions",
    "gateway.transfers",
    "kyc.verifications",
    "gateway.commands",
    "ledger.commands",
    "ledger.journal",
    "ledger.settlements",
    "fraud.holds",
    "ledger.accounts",
    "ledger.entries",
    "ledger.transfers",
    "ledger.fee_schedules",
)
"""Whatever of the owner's a request could change. Logs, sessions and the last use of keys may move."""


@dataclass
class World:
    """A stack, what the owner has, and the header of each principal."""

    api: Api
    has: Resources
    headers: Mapping[str, dict[str, str]]
    owner: Person

    @property
    def operations(self) -> Mapping[str, Mapping[str, Any]]:
        """Every operation of the merged document, as `GET /path`."""
        document: dict[str, Any] = {}

        def is_whole() -> bool:
            # A service that takes longer than the gateway waits is left out of the document, and asked again.
            document.update(self.api.http.get("/openapi.json").json())
            return set(document["paths"]) >= ONE_PATH_OF_EACH

        wait_until("every service to describe itself", is_whole)
        return {
            f"{method.upper()} {path}": operation
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
            if method in {"get", "post", "put", "patch", "delete", "head", "options"}
        }

    def send(self, operation: str, line: Line, who: str, expected: str) -> tuple[int, str]:
        """Try an operation, with a request that would work or one that does nothing; return status and body."""
        method, template = operation.split(" ")
        path = path_of(template, line, self.has, expected)
        headers = {**self.headers[who], "Idempotency-Key": new_key()}
        body = None
        if method in HAS_BODY and expected != ABSENT:
            body = line.body(self.has) if line.body and expected in REFUSED else HARMLESS_BODY
        with self.api.http.stream(method, path, headers=headers, json=body) as answer:
            is_endless = answer.headers.get("content-type", "").startswith("text/event-stream")
            return answer.status_code, "" if is_endless else readable(answer.read())


def readable(body: bytes) -> str:
    """The text of an answer; of an archive, that of all its files."""
    if not body.startswith(b"PK"):
        return body.decode()
    with ZipFile(io.BytesIO(body)) as archive:
        return "\n".join(archive.read(name).decode() for name in archive.namelist())


def expired_token(folder: Path, user_id: str) -> str:
    """A token signed by the stack's own key whose time is over."""
    key_id = json.loads((folder / "keys" / "jwks.json").read_text())["keys"][0]["kid"]
    now = int(time())
    claims: dict[str, object] = {
        "iss": "tallystick",
        "aud": "tallystick",
        "sub": user_id,
        "roles": ["customer", "admin"],
        "jti": "x",
    }
    claims |= {"iat": now - 1000, "exp": now - 100}
    private_key = (folder / "keys" / "access-token.pem").read_bytes()
    return jwt.encode(claims, private_key, algorithm="EdDSA", headers={"kid": key_id})


def live_key(api: Api, owner: Person) -> dict[str, str]:
    """A key of the owner's for whatever he may let a key do, and its id."""
    wanted = {"name": "all of it", "scopes": sorted(scopes_open_to(["customer"]))}
    made: dict[str, str] = api.post("/api-keys", wanted, token=owner.token).json()
    assert api.get("/me", made["key"]).status_code == 200
    return made


def revoked_key(api: Api, owner: Person) -> str:
    """A key of the owner's that worked and was revoked."""
    made = live_key(api, owner)
    header = {"Authorization": f"Bearer {owner.token}"}
    assert api.http.delete(f"/api/v1/api-keys/{made['key_id']}", headers=header).status_code == 204
    return str(made["key"])


@pytest.fixture(scope="module")
def world(api: Api) -> World:
    owner, other, payee = api.person("owner", funds_minor=1_000), api.person("other"), api.person("payee")
    transfer_id = api.pay(owner, payee, 10).json()["transfer_id"]
    hold_id = api.post("/transfers", transfer(owner, payee, 5, hold=True), token=owner.token, key=new_key()).json()
    machine = {"name": "till", "roles": ["customer"]}
    machine_id = api.post("/admin/service-accounts", machine, token=api.admin_token).json()["user_id"]
    wanted = {"name": "a key", "scopes": ["accounts:read"]}
    machine_key = api.post(f"/admin/service-accounts/{machine_id}/keys", wanted, token=api.admin_token).json()
    has = Resources(
        user_id=owner.user_id,
        account_id=owner.account_id,
        payee_account_id=payee.account_id,
        other_account_id=other.account_id,
        transfer_id=transfer_id,
        hold_id=hold_id["transfer_id"],
        key_id=api.post("/api-keys", wanted, token=owner.token).json()["key_id"],
        session_id=api.get("/auth/sessions", owner.token).json()["sessions"][0]["session_id"],
        machine_id=machine_id,
        machine_key_id=machine_key["key_id"],
    )
    tokens = {"owner": owner.token, "other": other.token} | {role: staff(api, role) for role in STAFF}
    tokens[API_KEY] = live_key(api, owner)["key"]
    tokens |= {"revoked key": revoked_key(api, owner), "expired token": expired_token(api.folder, owner.user_id)}
    headers = {who: {"Authorization": f"Bearer {token}"} for who, token in tokens.items()}
    return World(api, has, {**headers, "nobody": {}}, owner)


def digests(api: Api) -> dict[str, str]:
    """Table → a digest of all its rows."""

    async def ask() -> dict[str, str]:
        connection = await asyncpg.connect(api.dsn)
        try:
            query = "SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM {} t"
            return {table: await connection.fetchval(query.format(table)) for table in UNTOUCHED}
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_every_operation_has_its_line_and_declares_its_action(world: World) -> None:
    operations = world.operations
    assert sorted(operations.keys() - TABLE.keys()) == [], "give each a line in ownership_table.py"
    assert sorted(TABLE.keys() - operations.keys()) == [], "these are no more"
    probes = {"GET /health/live", "GET /health/ready"}
    assert [
        name for name, operation in operations.items() if not operation.get("x-action") and name not in probes
    ] == []


def test_who_may_not_learns_nothing_and_changes_nothing(world: World, say: Say) -> None:
    before = digests(world.api)
    wrong, tried = [], 0
    for operation, line in TABLE.items():
        for who in (*WITH, *WITHOUT):
            expected = line.status(who) if who in WITH else line.status("owner") if line.public else "401"
            status, text = world.send(operation, line, who, expected)
            tried += 1
            if str(status) not in expected.replace(ABSENT, "404").split("|"):
                wrong.append(f"{operation} as {who}: {status}, not {expected}: {text[:160]}")
            if who == "other" and world.owner.email in text:
                wrong.append(f"{operation} tells another customer the owner's e-mail")
    assert not wrong, "\n".join(wrong)
    after = digests(world.api)
    assert {table for table in UNTOUCHED if before[table] != after[table]} == set()
    say(f"ownership: {len(TABLE)} operations x {len(WITH) + len(WITHOUT)} principals, {tried} requests tried")
