"""Balances, entries, receipts and proofs, as clients see them."""

import json
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from pydantic import SecretStr

from libs.common.db.engine import make_engine
from libs.common.ids import new_id
from libs.common.money import MAX_AMOUNT_MINOR
from libs.common.proof.checkpoint import Checkpoint
from libs.common.proof.merkle import verify_consistency
from libs.common.proof.receipts import verify_receipt
from libs.common.proof.signed_note import open_note, parse_vkeys
from services.ledger.app import make_routers
from services.ledger.sisters import ShownAccounts
from tests.integration.ledger.books import SIGNER, Books, account_changed
from tests.support.api_world import TokenKeys, admin_connection, http_client
from tests.support.ledger_builders import (
    RESERVE,
    blocked,
    capture,
    change,
    deposit,
    fees,
    held,
    id_of,
    leg,
    reverse,
    screened,
    withdrawal,
)

INTERNAL_TOKEN = "sister to sister"


@pytest.fixture
def keys(tmp_path: Path) -> TokenKeys:
    return TokenKeys(tmp_path)


class OwnersSight:
    """Accounts, as far as it says which accounts were deleted."""

    def __init__(self) -> None:
        self.deleted: set[str] = set()
        self.questions = 0
        self.is_away = False

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        assert request.headers["x-internal-token"] == INTERNAL_TOKEN
        if self.is_away:
            raise httpx2.ConnectError("refused")
        self.questions += 1
        ids = json.loads(request.content)["account_ids"]
        return httpx2.Response(200, json={"accounts": [{"account_id": one} for one in ids if one not in self.deleted]})


@pytest.fixture
def sight() -> OwnersSight:
    return OwnersSight()


@pytest.fixture
async def client(ledger_dsn: str, keys: TokenKeys, sight: OwnersSight) -> AsyncIterator[httpx2.AsyncClient]:
    engine = make_engine(ledger_dsn, "test-views")
    token = SecretStr(INTERNAL_TOKEN)
    shown = ShownAccounts("http://accounts", token, httpx2.MockTransport(sight))
    routers = make_routers(engine, f"{SIGNER.vkey}\n", shown, token)
    async with http_client("ledger", routers, keys) as client:
        yield client
    await engine.dispose()


def owner(keys: TokenKeys, name: str) -> dict[str, str]:
    return keys.bearer(id_of(f"owner of {name}"))


async def test_an_owner_sees_his_balance(books: Books, client: httpx2.AsyncClient, keys: TokenKeys) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(held("h", leg("alice", "bob", 400)))
    seen = (await client.get(f"/api/v1/accounts/{id_of('alice')}", headers=owner(keys, "alice"))).json()
    assert seen.pop("account_number").startswith("TS")
    assert seen == {
        "account_id": id_of("alice"),
        "asset": "USD",
        "status": "active",
        "posted_minor": 1_000,
        "available_minor": 600,
        "pending_out_minor": 400,
        "held_minor": 0,
        "version": 3,
    }
    seen = (await client.get(f"/api/v1/accounts/{id_of('bob')}", headers=owner(keys, "bob"))).json()
    assert (seen["posted_minor"], seen["held_minor"], seen["available_minor"]) == (1, 400, 1)


async def test_an_owner_sees_the_limits_that_staff_set_and_no_others(
    books: Books, client: httpx2.AsyncClient, keys: TokenKeys
) -> None:
    await books.fund(alice=1_000, bob=1)

    async def limits() -> dict[str, int]:
        seen = (await client.get(f"/api/v1/accounts/{id_of('alice')}", headers=owner(keys, "alice"))).json()
        return {name: seen[name] for name in ("minimum_minor", "maximum_minor") if name in seen}

    assert await limits() == {}
    await books.do(change("alice", minimum_minor=-50, as_="overdraft"))
    assert await limits() == {"minimum_minor": -50}
    await books.do(change("alice", maximum_minor=2_000, as_="most"))
    assert await limits() == {"minimum_minor": -50, "maximum_minor": 2_000}
    await books.do(change("alice", minimum_minor=0, maximum_minor=MAX_AMOUNT_MINOR, as_="none"))
    assert await limits() == {}


async def test_a_list_says_how_much_of_a_transfer_was_captured_reversed_and_withheld(
    books: Books, client: httpx2.AsyncClient, keys: TokenKeys
) -> None:
    await books.fund(alice=10_000, bob=1)
    await books.do(fees(rate_per_million=25_000, flat_minor=5))
    await books.do(
        screened("plain", leg("alice", "bob", 1_000)),
        screened("held", leg("alice", "bob", 1_000), hold_seconds=3_600),
        screened("legs", leg("alice", "bob", 300), leg("alice", "bob", 200), hold_seconds=3_600),
    )

    async def listed() -> dict[str, dict[str, Any]]:
        page = (await client.get("/api/v1/transfers", headers=owner(keys, "alice"))).json()
        return {transfer["transfer_id"]: transfer for transfer in page["transfers"]}

    def settled(transfer: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(transfer[name] for name in ("captured_minor", "reversed_minor", "fee_minor", "reverses"))

    seen = await listed()
    assert settled(seen[id_of("plain")]) == (None, None, 30, "")
    assert settled(seen[id_of("held")]) == (None, None, 0, "")
    await books.do(capture("held", 500, final=True), capture("legs", 100, 0), reverse("plain", 500, with_fees=True))
    seen = await listed()
    assert settled(seen[id_of("plain")]) == (None, 500, 15, "")
    assert settled(seen[id_of("held")]) == (500, None, 17, "")
    assert settled(seen[id_of("legs")]) == ([100, 0], None, 7, "")
    assert settled(seen[id_of("reversal of plain")]) == (None, None, -15, id_of("plain"))
    await books.do(reverse("legs", 50, 0), reverse("plain", as_="rest"))
    assert settled((await listed())[id_of("plain")]) == (None, 1_000, 15, "")


@pytest.mark.parametrize("path", ["", "/entries"])
async def test_an_account_exists_only_for_its_owner_and_staff(
    books: Books, client: httpx2.AsyncClient, keys: TokenKeys, path: str
) -> None:
    await books.fund(alice=1_000, bob=1)
    address = f"/api/v1/accounts/{id_of('alice')}{path}"
    assert (await client.get(address)).status_code == 401
    stranger = await client.get(address, headers=owner(keys, "bob"))
    assert (stranger.status_code, stranger.json()["code"]) == (404, "account_not_found")
    assert (await client.get(address, headers=keys.bearer(new_id(), "support"))).status_code == 200
    assert (await client.get(f"/api/v1/accounts/{RESERVE}{path}", headers=owner(keys, "bob"))).status_code == 404
    for nonsense in ("x", "%00", new_id(), id_of("alice").upper()):
        answer = await client.get(f"/api/v1/accounts/{nonsense}{path}", headers=owner(keys, "alice"))
        assert answer.status_code == 404


async def test_entries_are_paged_newest_first(books: Books, client: httpx2.AsyncClient, keys: TokenKeys) -> None:
    await books.open("alice")
    await books.do(*(deposit(f"d{number}", "alice", number) for number in range(1, 8)))
    address = f"/api/v1/accounts/{id_of('alice')}/entries"
    seen: list[dict[str, object]] = []
    before: dict[str, int] = {}
    while True:
        page = (await client.get(address, params={"limit": 3, **before}, headers=owner(keys, "alice"))).json()
        seen += page["entries"]
        if page["next_before_seq"] is None:
            break
        before = {"before_seq": page["next_before_seq"]}
    assert [entry["seq"] for entry in seen] == [7, 6, 5, 4, 3, 2, 1]
    assert seen[0].keys() == {
        "seq",
        "transfer_id",
        "amount_minor",
        "balance_after_minor",
        "posted_at",
        "journal_index",
    }
    assert seen[0]["balance_after_minor"] == 28
    for wrong in ({"limit": 201}, {"limit": 0}, {"before_seq": 0}, {"before_seq": 2**53}, {"limit": "x"}):
        assert (await client.get(address, params=wrong, headers=owner(keys, "alice"))).status_code == 422


async def test_a_receipt_convinces_whoever_has_the_key(
    books: Books, client: httpx2.AsyncClient, keys: TokenKeys
) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(*(deposit(f"d{number}", "bob", 1) for number in range(300)))
    await books.do(
        screened("t", leg("alice", "bob", 300)),
        screened("no", leg("alice", "nobody", 9)),
        blocked("b", leg("alice", "bob", 9)),
    )
    vkeys = (await client.get("/api/v1/transparency/key")).text
    assert vkeys == f"{SIGNER.vkey}\n"
    for name, kind in (
        ("t", "transfer.posted"),
        ("no", "transfer.refused"),
        ("b", "transfer.blocked"),
        ("d7", "transfer.posted"),
    ):
        reader = "bob" if name == "d7" else "alice"
        receipt = await client.get(f"/api/v1/transfers/{id_of(name)}/receipt", headers=owner(keys, reader))
        verified = verify_receipt(receipt.content, vkeys)
        assert verified.record["transfer_id"] == id_of(name)
        assert verified.record["kind"] == kind
    assert verified.size == 305


async def test_a_receipt_is_for_the_parties_and_staff(
    books: Books, client: httpx2.AsyncClient, keys: TokenKeys
) -> None:
    await books.fund(alice=1_000, bob=1, carol=1)
    await books.do(screened("t", leg("alice", "bob", 300)))
    address = f"/api/v1/transfers/{id_of('t')}/receipt"
    for reader in ("alice", "bob"):
        assert (await client.get(address, headers=owner(keys, reader))).status_code == 200
    assert (await client.get(address, headers=keys.bearer(new_id(), "auditor"))).status_code == 200
    stranger = await client.get(address, headers=owner(keys, "carol"))
    assert (stranger.status_code, stranger.json()["code"]) == (404, "transfer_not_found")
    assert (await client.get(address)).status_code == 401
    for nonsense in ("x", new_id()):
        answer = await client.get(f"/api/v1/transfers/{nonsense}/receipt", headers=owner(keys, "alice"))
        assert answer.status_code == 404


async def test_anybody_can_check_that_nothing_was_rewritten(books: Books, client: httpx2.AsyncClient) -> None:
    empty = await client.get("/api/v1/transparency/checkpoint")
    assert (empty.status_code, empty.json()["code"]) == (404, "checkpoint_not_found")
    await books.open("alice")
    heads = []
    for number in range(4):
        await books.do(*(deposit(f"{number} {at}", "alice", 1) for at in range(90 * (number + 1))))
        answer = await client.get("/api/v1/transparency/checkpoint")
        assert answer.headers["content-type"].startswith("text/plain")
        heads.append(Checkpoint.parse(open_note(answer.text, parse_vkeys(SIGNER.vkey))))
    for first in heads:
        for second in heads[heads.index(first) :]:
            sizes = {"first": first.size, "second": second.size}
            proof = (await client.get("/api/v1/transparency/consistency", params=sizes)).json()["proof"]
            assert verify_consistency(
                first.size, second.size, first.root, second.root, [b64decode(part) for part in proof]
            )
    wrongs: list[dict[str, int | str]] = [
        {"first": 2, "second": 1},
        {"first": 0, "second": 901},
        {"first": -1, "second": 1},
        {"first": 1},
        {"first": "x", "second": 10**30},
    ]
    for wrong in wrongs:
        assert (await client.get("/api/v1/transparency/consistency", params=wrong)).status_code == 422


async def test_a_dry_run_tells_the_outcome_and_changes_nothing(
    books: Books, client: httpx2.AsyncClient, admin_dsn: str
) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(fees(flat_minor=3))
    await books.outcomes.flush()
    sister = {"X-Internal-Token": INTERNAL_TOKEN}
    before = await everything(admin_dsn)
    told = []
    for screening in (
        screened("fits", leg("alice", "bob", 1_000)),
        screened("too much", leg("alice", "bob", 1_001)),
        screened("hold", leg("alice", "bob", 10), hold_seconds=60),
        blocked("blocked", leg("alice", "bob", 10)),
    ):
        answer = await client.post("/internal/dry-runs", headers=sister, content=msgspec.json.encode(screening))
        told.append((answer.json()["status"], answer.json()["code"], answer.json().get("fee_minor", 0)))
    assert told == [
        ("posted", "", 3),
        ("refused", "insufficient_funds", 0),
        ("held", "", 0),
        ("blocked", "amount_limit_exceeded", 0),
    ]
    assert await everything(admin_dsn) == before


async def test_a_dry_run_does_not_tell_how_much_room_a_stranger_has(books: Books, client: httpx2.AsyncClient) -> None:
    await books.fund(alice=1_000, bob=900)
    alice = id_of("owner of alice")
    await books.open_accounts([msgspec.structs.replace(account_changed("her savings"), owner_id=alice)])
    await books.do(change("bob", maximum_minor=1_000), change("her savings", maximum_minor=10))
    told = []
    for screening in (
        screened("fits", leg("alice", "bob", 100)),
        screened("too much for him", leg("alice", "bob", 101)),
        screened("too much for her own", leg("alice", "her savings", 11, owner=alice)),
    ):
        sent = msgspec.json.encode(screening)
        answer = await client.post("/internal/dry-runs", headers={"X-Internal-Token": INTERNAL_TOKEN}, content=sent)
        told.append((answer.json()["status"], answer.json()["code"]))
    assert told == [("posted", ""), ("posted", ""), ("refused", "balance_limit_exceeded")]


async def test_only_services_of_the_system_may_run_dry(client: httpx2.AsyncClient) -> None:
    for token in ("", "wrong"):
        refused = await client.post("/internal/dry-runs", headers={"X-Internal-Token": token}, content=b"{}")
        assert (refused.status_code, refused.json()["code"]) == (401, "internal_token_required")
    answer = await client.post("/internal/dry-runs", headers={"X-Internal-Token": INTERNAL_TOKEN}, content=b"{}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def everything(admin_dsn: str) -> dict[str, list[str]]:
    """Return every row of every table, as text."""
    async with admin_connection(admin_dsn) as connection:
        names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'ledger'")
        tables = sorted(row[0] for row in names)
        return {
            table: [row[0] for row in await connection.fetch(f"SELECT t::text FROM ledger.{table} t ORDER BY 1")]
            for table in tables
        }


async def test_a_deleted_account_is_read_by_staff_and_no_longer_by_its_owner(
    books: Books, client: httpx2.AsyncClient, keys: TokenKeys, sight: OwnersSight
) -> None:
    await books.fund(alice=100, bob=5)
    await books.do(withdrawal("all", "bob", 5), change("bob", "closed", as_="close"))
    bob, alice = owner(keys, "bob"), owner(keys, "alice")
    account = f"/api/v1/accounts/{id_of('bob')}"
    paths = [account, f"{account}/balance", f"{account}/entries", f"{account}/statement"]
    paths.append(f"/api/v1/transfers?account_id={id_of('bob')}")

    async def statuses(header: dict[str, str]) -> set[int]:
        return {(await client.get(path, headers=header)).status_code for path in paths}

    assert await statuses(bob) == {200}
    sight.deleted.add(id_of("bob"))
    assert await statuses(bob) == {404}
    assert (await client.get("/api/v1/transfers", headers=bob)).json()["transfers"] == []
    assert await statuses(keys.bearer(new_id(), "support")) == {200}
    sister = {"X-Internal-Token": INTERNAL_TOKEN}
    assert await statuses(bob | sister) == {200}, "for his export"
    assert await statuses(bob | {"X-Internal-Token": "guessed"}) == {404}
    assert await statuses(alice | sister) == {404}
    assert await statuses(sister) == {401}
    sight.is_away = True
    assert await statuses(bob) == {503}
    assert (await client.get("/api/v1/transfers", headers=alice)).json()["transfers"]
    assert (await client.get(f"/api/v1/accounts/{id_of('alice')}", headers=alice)).status_code == 200


async def test_accounts_is_asked_about_closed_accounts_alone(
    books: Books, client: httpx2.AsyncClient, keys: TokenKeys, sight: OwnersSight
) -> None:
    await books.fund(alice=100)
    for path in (f"/api/v1/accounts/{id_of('alice')}/balance", "/api/v1/transfers"):
        assert (await client.get(path, headers=owner(keys, "alice"))).status_code == 200
    assert sight.questions == 0
