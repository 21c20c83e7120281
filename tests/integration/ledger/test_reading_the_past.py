"""Balances, statements and lists of transfers, compared with a plain model of a random history."""

import csv
import io
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from libs.common.clock import to_rfc3339
from libs.common.db.engine import make_engine
from libs.common.ids import new_id
from services.ledger.app import make_routers
from services.ledger.sisters import ShownAccounts
from services.ledger.views import trial_balance
from tests.integration.ledger.books import SIGNER, Books
from tests.support.api_world import TokenKeys, admin_connection, http_client
from tests.support.ledger_builders import RESERVE, blocked, capture, change, held, id_of, leg, reverse, screened, void
from tests.support.random_books import START, ModelEntry, ModelTransfer, RandomBooks

NAMES = ("alice", "alice/savings", "bob", "carol")
TRANSFERS = "/api/v1/transfers"


@pytest.fixture
def keys(tmp_path: Path) -> TokenKeys:
    return TokenKeys(tmp_path)


@pytest.fixture
async def client(ledger_dsn: str, keys: TokenKeys) -> AsyncIterator[httpx2.AsyncClient]:
    engine = make_engine(ledger_dsn, "test-views")
    token = SecretStr("unused")
    routers = make_routers(engine, SIGNER.vkey, ShownAccounts("http://unused", token), token)
    async with http_client("ledger", routers, keys) as client:
        yield client
    await engine.dispose()


@pytest.fixture(params=[1, 2])
async def past(request: pytest.FixtureRequest, admin_dsn: str) -> RandomBooks:
    books = RandomBooks(NAMES, request.param)
    books.live(250)
    async with admin_connection(admin_dsn) as connection:
        await books.write(connection)
    return books


@pytest.fixture
def auditor(keys: TokenKeys) -> dict[str, str]:
    return keys.bearer(new_id(), "auditor")


def owner(keys: TokenKeys, name: str) -> dict[str, str]:
    return keys.bearer(id_of(f"owner of {name}"))


def shown(entry: ModelEntry) -> dict[str, Any]:
    return {**vars(entry), "posted_at": to_rfc3339(entry.posted_at)}


def ids(transfers: list[ModelTransfer]) -> list[str]:
    return [transfer.transfer_id for transfer in transfers]


async def test_a_balance_is_that_of_any_moment_and_any_record(
    past: RandomBooks, client: httpx2.AsyncClient, auditor: dict[str, str]
) -> None:
    chance = random.Random(past.seed)
    for account_id in (*past.accounts, RESERVE):
        address = f"/api/v1/accounts/{account_id}/balance"
        now = (await client.get(address, headers=auditor)).json()
        assert now["posted_minor"] == past.balance_minor(account_id)
        assert now["seq"] == len(past.entries.get(account_id, []))
        times = {entry.posted_at for entry in past.entries.get(account_id, [])}
        for moment in [START - timedelta(days=1), *chance.sample(sorted(times), min(12, len(times)))]:
            for nearby in (moment - timedelta(microseconds=1), moment, moment + timedelta(microseconds=1)):
                seen = await client.get(address, params={"at": to_rfc3339(nearby)}, headers=auditor)
                assert seen.json()["posted_minor"] == past.balance_minor(account_id, until=nearby)
        for index in (0, len(past.records) - 1, *chance.sample(range(len(past.records)), 20)):
            seen = (await client.get(address, params={"index": index}, headers=auditor)).json()
            assert seen["posted_minor"] == past.balance_minor(account_id, index=index)
            assert seen["seq"] == 0 or seen["journal_index"] <= index


async def test_a_past_balance_is_asked_for_with_one_moment_that_was(
    past: RandomBooks, client: httpx2.AsyncClient, auditor: dict[str, str], keys: TokenKeys
) -> None:
    address = f"/api/v1/accounts/{id_of('alice')}/balance"
    wrong: tuple[tuple[dict[str, int | str], str], ...] = (
        ({"at": "2026-03-01T09:30:00"}, "invalid_request"),
        ({"at": "2026-03-01 09:30:00Z"}, "invalid_request"),
        ({"at": "2026-02-30T09:30:00Z"}, "invalid_request"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "invalid_request"),
        ({"at": "yesterday"}, "invalid_request"),
        ({"at": "2999-01-01T00:00:00Z"}, "moment_in_future"),
        ({"index": len(past.records)}, "journal_index_out_of_range"),
        ({"index": -1}, "invalid_request"),
        ({"index": 2**53}, "invalid_request"),
        ({"index": 1, "at": "2026-03-01T09:30:00Z"}, "conflicting_parameters"),
    )
    for asked, code in wrong:
        answer = await client.get(address, params=asked, headers=auditor)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert (await client.get(address, headers=owner(keys, "alice"))).status_code == 200
    assert (await client.get(address, headers=owner(keys, "bob"))).status_code == 404


async def test_a_statement_has_every_entry_of_its_period_between_two_balances(
    past: RandomBooks, client: httpx2.AsyncClient, keys: TokenKeys
) -> None:
    chance = random.Random(past.seed)
    for name in NAMES:
        account_id = id_of(name)
        entries = past.entries[account_id]
        moments = [None, *(entry.posted_at for entry in chance.sample(entries, 4))]
        for begins_at in moments:
            for ends_before in moments:
                if begins_at and ends_before and begins_at > ends_before:
                    continue
                asked = {
                    **({"from": to_rfc3339(begins_at)} if begins_at else {}),
                    **({"to": to_rfc3339(ends_before)} if ends_before else {}),
                }
                pages = await all_pages(
                    client, f"/api/v1/accounts/{account_id}/statement", asked, owner(keys, name.split("/")[0]), 7
                )
                expected = [
                    entry
                    for entry in entries
                    if (begins_at is None or entry.posted_at >= begins_at)
                    and (ends_before is None or entry.posted_at < ends_before)
                ]
                assert [entry for page in pages for entry in page["entries"]] == [shown(entry) for entry in expected]
                opening = sum(e.amount_minor for e in entries if begins_at and e.posted_at < begins_at)
                for page in pages:
                    assert page["opening_balance_minor"] == opening
                    assert page["closing_balance_minor"] == opening + sum(e.amount_minor for e in expected)


async def all_pages(
    client: httpx2.AsyncClient, address: str, asked: dict[str, Any], reader: dict[str, str], limit: int
) -> list[dict[str, Any]]:
    """All pages by `next`; going back by `prev` must give the same."""
    pages: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await client.get(address, params={**asked, **cursor, "limit": limit}, headers=reader)
        assert answer.status_code == 200, answer.text
        pages.append(answer.json())
        if pages[-1]["next"] is None:
            break
        cursor = {"cursor": pages[-1]["next"]}
    what = "entries" if "entries" in pages[0] else "transfers"
    forwards = [item for page in pages for item in page[what]]
    backwards = list(pages[-1][what])
    at = pages[-1]["prev"]
    while at is not None:
        page = (await client.get(address, params={**asked, "cursor": at, "limit": limit}, headers=reader)).json()
        backwards = page[what] + backwards
        at = page["prev"]
    assert backwards == forwards
    return pages


async def test_a_statement_does_not_end_before_it_begins(
    past: RandomBooks, client: httpx2.AsyncClient, keys: TokenKeys
) -> None:
    address, headers = f"/api/v1/accounts/{id_of('alice')}/statement", owner(keys, "alice")
    earlier, later = "2026-03-01T00:00:00Z", "2026-03-01T00:00:00.000001Z"
    answer = await client.get(address, params={"from": later, "to": earlier}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "conflicting_parameters")
    answer = await client.get(address, params={"from": later, "to": later}, headers=headers)
    assert (answer.status_code, answer.json()["entries"]) == (200, [])


async def test_what_is_posted_later_does_not_come_into_a_statement_that_was_begun(
    past: RandomBooks, client: httpx2.AsyncClient, keys: TokenKeys, admin_dsn: str
) -> None:
    account_id = id_of("bob")
    address = f"/api/v1/accounts/{account_id}/statement"
    entries = past.entries[account_id]
    first = (await client.get(address, params={"limit": 5}, headers=owner(keys, "bob"))).json()
    async with admin_connection(admin_dsn) as connection:
        await connection.execute(
            "INSERT INTO ledger.entries SELECT account_id, seq + 1, transfer_id, 7, balance_after_minor + 7, "
            "posted_at, journal_index FROM ledger.entries WHERE account_id = $1 ORDER BY seq DESC LIMIT 1",
            account_id,
        )
        await connection.execute(
            "UPDATE ledger.accounts SET last_seq = last_seq + 1, posted_minor = posted_minor + 7 WHERE account_id = $1",
            account_id,
        )
    asked = {"limit": 1000, "cursor": first["next"]}
    rest = (await client.get(address, params=asked, headers=owner(keys, "bob"))).json()
    assert rest["entries"][-1] == shown(entries[-1])
    assert rest["closing_balance_minor"] == first["closing_balance_minor"] == entries[-1].balance_after_minor
    assert rest["next"] is None


async def test_a_statement_as_csv_has_the_same_lines(
    past: RandomBooks, client: httpx2.AsyncClient, keys: TokenKeys
) -> None:
    account_id = id_of("carol")
    address: str | None = f"/api/v1/accounts/{account_id}/statement?format=csv&limit=9"
    lines: list[dict[str, str]] = []
    while address is not None:
        answer = await client.get(address, headers=owner(keys, "carol"))
        assert answer.headers["content-type"].startswith("text/csv")
        assert answer.headers["content-disposition"] == f'attachment; filename="statement-{account_id}.csv"'
        page = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        assert [page[0]["line"], *(line["line"] for line in page[-3:])] == ["opening", "closing", "held", "pending_out"]
        lines += page[1:-3]
        address = answer.links.get("next", {}).get("url")
    entries = past.entries[account_id]
    assert [(int(line["seq"]), int(line["amount_minor"]), int(line["balance_minor"])) for line in lines] == [
        (entry.seq, entry.amount_minor, entry.balance_after_minor) for entry in entries
    ]


async def test_entries_can_be_followed_towards_the_newest(
    past: RandomBooks, client: httpx2.AsyncClient, keys: TokenKeys
) -> None:
    address = f"/api/v1/accounts/{id_of('bob')}/entries"
    entries = past.entries[id_of("bob")]
    seen: list[int] = []
    after: int | None = 0
    while after is not None:
        asked = {"limit": 7, "after_seq": after}
        page = (await client.get(address, params=asked, headers=owner(keys, "bob"))).json()
        seen += reversed([entry["seq"] for entry in page["entries"]])
        after = page["next_after_seq"]
    assert seen == [entry.seq for entry in entries]
    answer = await client.get(address, params={"after_seq": 1, "before_seq": 2}, headers=owner(keys, "bob"))
    assert answer.json()["code"] == "conflicting_parameters"


async def test_transfers_of_accounts_are_listed_once_and_in_their_order(
    past: RandomBooks, client: httpx2.AsyncClient, keys: TokenKeys, auditor: dict[str, str]
) -> None:
    for name in NAMES:
        pages = await all_pages(client, TRANSFERS, {"account_id": id_of(name)}, auditor, 7)
        found = [transfer["transfer_id"] for page in pages for transfer in page["transfers"]]
        assert found == ids(past.listed([id_of(name)]))
    mine = await all_pages(client, TRANSFERS, {}, owner(keys, "alice"), 5)
    found = [transfer["transfer_id"] for page in mine for transfer in page["transfers"]]
    assert found == ids(past.listed([id_of("alice"), id_of("alice/savings")]))
    everybody = await all_pages(client, TRANSFERS, {}, auditor, 50)
    assert [transfer["transfer_id"] for page in everybody for transfer in page["transfers"]] == ids(past.listed())


async def test_each_filter_leaves_out_the_others(
    past: RandomBooks, client: httpx2.AsyncClient, keys: TokenKeys, auditor: dict[str, str]
) -> None:
    middle = past.records[len(past.records) // 2][0]
    late = past.records[len(past.records) * 3 // 4][0]
    cases: list[tuple[dict[str, Any], Any]] = [
        ({"status": status}, lambda t, status=status: t.status == status)
        for status in ("posted", "held", "refused", "blocked", "voided")
    ]
    cases += [
        ({"from": to_rfc3339(middle)}, lambda t: t.began_at >= middle),
        ({"to": to_rfc3339(middle)}, lambda t: t.began_at < middle),
        ({"from": to_rfc3339(middle), "to": to_rfc3339(late)}, lambda t: middle <= t.began_at < late),
        ({"min_amount_minor": 900}, lambda t: any(amount >= 900 for _, _, amount in t.legs)),
        (
            {"min_amount_minor": 100, "max_amount_minor": 200, "status": "posted"},
            lambda t: t.status == "posted" and any(100 <= amount <= 200 for _, _, amount in t.legs),
        ),
    ]
    for asked, is_meant in cases:
        for who, account_ids in (({"account_id": id_of("alice")}, [id_of("alice")]), ({}, None)):
            pages = await all_pages(client, TRANSFERS, {**asked, **who}, auditor, 10)
            found = [transfer["transfer_id"] for page in pages for transfer in page["transfers"]]
            assert found == ids([t for t in past.listed(account_ids) if is_meant(t)])


async def test_a_listed_transfer_shows_its_newest_state_and_its_legs(
    past: RandomBooks, client: httpx2.AsyncClient, auditor: dict[str, str]
) -> None:
    page = (await client.get(TRANSFERS, params={"limit": 200}, headers=auditor)).json()
    for seen in page["transfers"]:
        model = past.transfers[seen["transfer_id"]]
        assert (seen["status"], seen["version"], seen["journal_index"]) == (model.status, model.version, model.place)
        assert seen["changed_at"] == to_rfc3339(model.changed_at)
        legs = [(leg["source_account_id"], leg["destination_account_id"], leg["amount_minor"]) for leg in seen["legs"]]
        assert legs == model.legs


async def test_a_page_looks_at_a_bounded_number_of_places(
    past: RandomBooks, client: httpx2.AsyncClient, auditor: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.ledger.views.transfers.LOOKED_AT_MAX", 20)
    pages = await all_pages(client, TRANSFERS, {"status": "voided"}, auditor, 10)
    assert len(pages) >= len(past.records) // 20
    found = [transfer["transfer_id"] for page in pages for transfer in page["transfers"]]
    assert found == ids([t for t in past.listed() if t.status == "voided"])
    pages = await all_pages(client, TRANSFERS, {"status": "voided", "account_id": id_of("bob")}, auditor, 10)
    found = [transfer["transfer_id"] for page in pages for transfer in page["transfers"]]
    assert found == ids([t for t in past.listed([id_of("bob")]) if t.status == "voided"])


async def test_lists_are_for_parties_and_staff_and_take_only_what_fits(
    past: RandomBooks, client: httpx2.AsyncClient, keys: TokenKeys, auditor: dict[str, str]
) -> None:
    assert (await client.get(TRANSFERS)).status_code == 401
    stranger = await client.get(TRANSFERS, params={"account_id": id_of("bob")}, headers=owner(keys, "alice"))
    assert (stranger.status_code, stranger.json()["code"]) == (404, "account_not_found")
    assert (await client.get(TRANSFERS, headers=keys.bearer(new_id()))).json()["transfers"] == []
    for role in ("support", "operator", "compliance", "admin"):
        assert (await client.get(TRANSFERS, headers=keys.bearer(new_id(), role))).json()["transfers"]
    first = (await client.get(TRANSFERS, params={"limit": 3}, headers=auditor)).json()
    for asked, code in (
        ({"limit": 0}, "invalid_request"),
        ({"limit": 201}, "invalid_request"),
        ({"status": "accepted"}, "invalid_request"),
        ({"min_amount_minor": 0}, "invalid_request"),
        ({"min_amount_minor": 5, "max_amount_minor": 4}, "conflicting_parameters"),
        ({"from": "now"}, "invalid_request"),
        ({"from": "2026-03-01T00:00:01Z", "to": "2026-03-01T00:00:00Z"}, "conflicting_parameters"),
        ({"colour": "blue"}, "query_not_understood"),
        ({"cursor": "x"}, "cursor_invalid"),
        ({"cursor": first["next"], "status": "held"}, "cursor_invalid"),
        ({"cursor": first["next"][::-1]}, "cursor_invalid"),
    ):
        answer = await client.get(TRANSFERS, params=asked, headers=auditor)
        assert (answer.status_code, answer.json()["code"]) == (422, code), asked


@pytest.mark.parametrize("page", [3, 20_000])
async def test_the_trial_balance_sums_to_zero_at_any_time(
    past: RandomBooks,
    client: httpx2.AsyncClient,
    keys: TokenKeys,
    auditor: dict[str, str],
    page: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trial_balance, "_PAGE", page)
    address = "/api/v1/admin/ledger/trial-balance"
    chance = random.Random(past.seed)
    for moment in (None, START - timedelta(days=1), *(chance.choice(past.records)[0] for _ in range(10))):
        asked = {} if moment is None else {"at": to_rfc3339(moment)}
        answer = (await client.get(address, params=asked, headers=auditor)).json()
        dollars = next(each for each in answer["assets"] if each["asset"] == "USD")
        owed = [past.balance_minor(account_id, until=moment) for account_id in past.accounts]
        assert dollars["difference_minor"] == dollars["credit_minor"] - dollars["debit_minor"] == 0
        assert dollars["balance_sheet"]["liability_minor"] == sum(owed)
        assert dollars["balance_sheet"]["asset_minor"] == sum(owed)
        line = next((line for line in dollars["lines"] if line["code"] == "2000"), None)
        if line is not None:
            assert line["credit_minor"] == sum(minor for minor in owed if minor > 0)
            assert line["debit_minor"] == -sum(minor for minor in owed if minor < 0)
    for role in ("operator", "admin"):
        assert (await client.get(address, headers=keys.bearer(new_id(), role))).status_code == 200
    for role in ("customer", "support", "compliance"):
        refused = await client.get(address, headers=keys.bearer(new_id(), role))
        assert (refused.status_code, refused.json()["code"]) == (403, "role_required")
    late = await client.get(address, params={"at": "2999-01-01T00:00:00Z"}, headers=auditor)
    assert late.json()["code"] == "moment_in_future"


async def test_what_the_writer_leaves_is_listed_where_it_began(
    books: Books, client: httpx2.AsyncClient, keys: TokenKeys, auditor: dict[str, str]
) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(
        screened("parts", leg("alice", "bob", 300), hold_seconds=60),
        screened("void", leg("alice", "bob", 100), hold_seconds=60),
        screened("plain", leg("alice", "bob", 50)),
        held("review", leg("alice", "bob", 10)),
    )
    await books.do(
        screened("no", leg("alice", "bob", 9_999)), blocked("block", leg("alice", "bob", 9)), capture("parts", 100)
    )
    await books.do(capture("parts", as_="rest"), void("void"), reverse("plain", 20, as_="back"))
    began = ["back of plain", "block", "no", "review", "plain", "void", "parts"]
    states = ["posted", "blocked", "refused", "held", "posted", "voided", "posted"]

    def expected(*hidden: str) -> list[tuple[str, str]]:
        return [(id_of(name), state) for name, state in zip(began, states, strict=True) if name not in hidden]

    for who, name, hidden in (("alice", "alice", ()), ("bob", "bob", ("block", "no"))):
        asked = {"account_id": id_of(name)}
        pages = await all_pages(client, TRANSFERS, asked, owner(keys, who), 2)
        seen = [(transfer["transfer_id"], transfer["status"]) for page in pages for transfer in page["transfers"]]
        assert seen[:-1] == expected(*hidden)
        assert seen[-1] == (id_of(f"start of {name}"), "posted")
    pages = await all_pages(client, TRANSFERS, {}, auditor, 3)
    seen = [(transfer["transfer_id"], transfer["status"]) for page in pages for transfer in page["transfers"]]
    assert seen[:-2] == expected()


async def test_a_list_says_why_and_its_numbers_to_those_whose_own_they_are(
    books: Books, client: httpx2.AsyncClient, keys: TokenKeys, auditor: dict[str, str]
) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(
        screened("gone", leg("alice", "bob", 600)),
        screened("passed on", leg("bob", "alice", 500), payer="bob"),
        reverse("gone", as_="back"),
        screened("no", leg("alice", "bob", 9_999)),
        change("bob", maximum_minor=101),
        screened("full", leg("alice", "bob", 1)),
    )

    async def reasons(reader: dict[str, str]) -> dict[str, tuple[str, int]]:
        page = (await client.get(TRANSFERS, headers=reader)).json()
        return {one["transfer_id"]: (one["failure_reason"], one["attempts"]) for one in page["transfers"]}

    mine = "Available 900 of asset USD is less than 9999."
    plain = "The source account has less available than the transfer needs."
    full = "An account would come to hold more than it may."
    of_bob = await reasons(owner(keys, "bob"))
    of_alice = await reasons(owner(keys, "alice"))
    of_staff = await reasons(auditor)
    back = id_of("back of gone")
    assert of_alice[id_of("no")] == of_staff[id_of("no")] == (mine, 1)
    assert of_alice[id_of("full")] == of_staff[id_of("full")] == (full, 1)
    assert of_alice[id_of("gone")] == of_bob[id_of("gone")] == ("", 1)
    assert not of_bob.keys() & {id_of("no"), id_of("full")}
    assert back not in of_alice
    assert of_bob[back] == (plain, 1)
    assert of_staff[back] == ("Available 101 of asset USD is less than 600.", 1)
