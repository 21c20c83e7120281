"""Lists of transfers: handed on to the ledger with memos added, or found by metadata."""

from datetime import timedelta
from typing import Any

import httpx2
import msgspec
import pytest

from libs.common.clock import system_clock, to_rfc3339
from libs.common.contracts.ledger import TransferChanged
from libs.common.ids import new_id
from services.gateway.store.directory import KnownAccount
from tests.integration.gateway.counter import AT, Counter, changed

ADDRESS = "/api/v1/transfers"
HOLD: dict[str, Any] = {"resolver": "caller", "expires_at": "2026-03-08T09:30:00.000000Z"}


async def sent(
    counter: Counter,
    http: httpx2.AsyncClient,
    *,
    source: KnownAccount | None = None,
    destination: KnownAccount | None = None,
    status: Any = "posted",
    **changes: Any,
) -> str:
    """Send a transfer; whatever is decided about it is heard."""
    source, destination = source or counter.payer, destination or counter.payee
    headers = {
        **counter.keys.bearer(source.owner_id),
        "Idempotency-Key": new_id(),
        "Prefer": "respond-async",
    }
    body = counter.body(source, destination_account_id=destination.account_id, **changes)
    answer = await http.post(ADDRESS, headers=headers, json=body)
    assert answer.status_code == 202, answer.text
    transfer_id: str = answer.json()["transfer_id"]
    if status is not None:
        code = "" if status in {"posted", "held"} else "insufficient_funds"
        await counter.hear(transfer_id, status, code=code)
    return transfer_id


async def listed(counter: Counter, reader: dict[str, str], **asked: Any) -> list[str]:
    """All ids by `next`; going back by `prev` must give the same."""
    pages: list[dict[str, Any]] = []
    more: dict[str, str] = {}
    async with counter.http() as http:
        while True:
            answer = await http.get(ADDRESS, params={**asked, **more}, headers=reader)
            assert answer.status_code == 200, answer.text
            pages.append(answer.json())
            if pages[-1]["next"] is None:
                break
            more = {"cursor": pages[-1]["next"]}
        forwards = [transfer["transfer_id"] for page in pages for transfer in page["transfers"]]
        backwards = [transfer["transfer_id"] for transfer in pages[-1]["transfers"]]
        at = pages[-1]["prev"]
        while at is not None:
            page = (await http.get(ADDRESS, params={**asked, "cursor": at}, headers=reader)).json()
            backwards = [transfer["transfer_id"] for transfer in page["transfers"]] + backwards
            at = page["prev"]
    assert backwards == forwards
    return forwards


async def test_metadata_finds_what_was_sent_with_it_newest_first(counter: Counter) -> None:
    payer = counter.keys.bearer(counter.payer.owner_id)
    async with counter.http() as http:
        ours = [await sent(counter, http, metadata={"invoice": "7", "n": str(number)}) for number in range(7)]
        await sent(counter, http, metadata={"invoice": "8"})
        await sent(counter, http, description="invoice 7")
        await sent(counter, http)
    assert await listed(counter, payer, **{"metadata.invoice": "7"}) == ours[::-1]
    assert await listed(counter, payer, **{"metadata.invoice": "7", "limit": 2}) == ours[::-1]
    assert await listed(counter, payer, **{"metadata.invoice": "7", "metadata.n": "3"}) == [ours[3]]
    assert await listed(counter, payer, **{"metadata.invoice": "7", "metadata.other": "3"}) == []


async def test_metadata_is_for_the_parties_and_staff(counter: Counter) -> None:
    stranger = counter.knows_customer()
    async with counter.http() as http:
        posted = await sent(counter, http, metadata={"to": "payee"})
        refused = await sent(counter, http, metadata={"to": "payee"}, status="refused")
        undecided = await sent(counter, http, metadata={"to": "payee"}, status=None)
        other = await sent(counter, http, source=stranger, destination=counter.payer, metadata={"to": "payee"})
    asked = {"metadata.to": "payee"}
    assert await listed(counter, counter.keys.bearer(counter.payee.owner_id), **asked) == [posted]
    mine = await listed(counter, counter.keys.bearer(counter.payer.owner_id), **asked)
    assert mine == [other, undecided, refused, posted]
    assert await listed(counter, counter.keys.bearer(new_id()), **asked) == []
    for role in ("support", "auditor", "operator", "compliance"):
        assert await listed(counter, counter.keys.bearer(new_id(), role), **asked) == mine
    assert await listed(counter, counter.keys.bearer(new_id(), "admin"), **asked) == []


async def test_other_filters_are_looked_for_among_what_has_the_metadata(counter: Counter) -> None:
    payer = counter.keys.bearer(counter.payer.owner_id)
    async with counter.http() as http:
        small = await sent(counter, http, metadata={"k": "v"}, amount_minor=5)
        held = await sent(counter, http, metadata={"k": "v"}, amount_minor=50, status="held")
        third = counter.knows_customer()
        away = await sent(counter, http, metadata={"k": "v"}, amount_minor=500, destination=third)
    asked = {"metadata.k": "v"}
    assert await listed(counter, payer, **asked, status="held") == [held]
    assert await listed(counter, payer, **asked, min_amount_minor=50) == [away, held]
    assert await listed(counter, payer, **asked, min_amount_minor=6, max_amount_minor=60) == [held]
    assert await listed(counter, payer, **asked, account_id=third.account_id) == [away]
    now = system_clock()
    before, after = to_rfc3339(now - timedelta(hours=1)), to_rfc3339(now + timedelta(seconds=1))
    assert await listed(counter, payer, **asked, **{"from": before, "to": after}) == [away, held, small]
    assert await listed(counter, payer, **asked, **{"from": after}) == []
    assert await listed(counter, payer, **asked, to=before) == []


LATER: dict[str, list[TransferChanged]] = {
    "captured in part": [changed("", "held", 2, captured_minor=(1,), **HOLD)],
    "captured": [changed("", "held", 2, captured_minor=(1,), **HOLD), changed("", "posted", 3, **HOLD)],
    "voided": [changed("", "voided", 2, "voided_by_caller", **HOLD)],
    "expired": [changed("", "voided", 2, "hold_expired", attempts=4, **HOLD)],
    "reversed": [changed("", "posted", 2, **HOLD), changed("", "posted", 3, reversed_minor=(1,), **HOLD)],
    "handed to the caller": [changed("", "held", 2, **HOLD)],
}


async def test_a_list_shows_the_same_state_as_the_transfer_itself(counter: Counter) -> None:
    readers = [counter.keys.bearer(party.owner_id) for party in (counter.payer, counter.payee)]
    readers.append(counter.keys.bearer(new_id(), "auditor"))
    async with counter.http() as http:
        for case, later in LATER.items():
            transfer_id = await sent(counter, http, metadata={"case": case}, status=None)
            for state in (changed("", "posted" if case == "reversed" else "held", 1, **HOLD), *later):
                await counter.hear_all(msgspec.structs.replace(state, transfer_id=transfer_id))
            for who in readers:
                asked = {"metadata.case": case, "status": later[-1].status}
                (seen,) = (await http.get(ADDRESS, params=asked, headers=who)).json()["transfers"]
                shown = (await http.get(f"{ADDRESS}/{transfer_id}", headers=who)).json()
                same = {"status", "version", "attempts"} | ({"code", "failure_reason"} & shown.keys())
                assert {name: seen[name] for name in same} == {name: shown[name] for name in same}, case
                assert (seen["version"], seen["journal_index"]) == (later[-1].version, later[-1].journal_index)
    asked = {"metadata.case": "voided", "status": "held"}
    assert await listed(counter, readers[0], **asked) == []


async def test_a_page_by_metadata_looks_at_a_bounded_number(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.views.transfer_lists.LOOKED_AT_MAX", 3)
    payer = counter.keys.bearer(counter.payer.owner_id)
    async with counter.http() as http:
        ids = [
            await sent(counter, http, metadata={"k": "v"}, amount_minor=number) for number in (1, 2, 2, 2, 2, 1, 2, 2)
        ]
        asked: dict[str, Any] = {"metadata.k": "v", "max_amount_minor": 1}
        page = (await http.get(ADDRESS, params=asked, headers=payer)).json()
    assert [transfer["transfer_id"] for transfer in page["transfers"]] == [ids[5]]
    assert page["next"] is not None
    assert await listed(counter, payer, **asked) == [ids[5], ids[0]]


async def test_the_ledgers_list_gets_its_memos(counter: Counter) -> None:
    async with counter.http() as http:
        told = await sent(counter, http, description="rent", metadata={"k": "v"})
        plain = await sent(counter, http)
        legs = [
            {
                "source_account_id": counter.payer.account_id,
                "destination_account_id": counter.payee.account_id,
                "amount_minor": 1,
                "asset": "USD",
            }
        ]
        transfers = [
            {
                "transfer_id": transfer_id,
                "journal_index": 7,
                "kind": "transfer",
                "status": "posted",
                "version": 1,
                "code": "",
                "reasons": [],
                "legs": legs,
                "accepted_at": AT,
                "changed_at": AT,
                "captured_minor": 300,
                "reversed_minor": [100, 0],
                "fee_minor": 3,
                "reverses": new_id(),
                "attempts": 2,
                "failure_reason": "",
            }
            for transfer_id in (plain, told, new_id())
        ]
        counter.neighbour.status = 200
        counter.neighbour.body = {"transfers": transfers, "next": "n", "prev": None}
        payer = counter.keys.bearer(counter.payer.owner_id)
        counter.neighbour.asked.clear()
        answer = await http.get(f"{ADDRESS}?limit=3&status=posted&cursor=abc", headers=payer)
    assert counter.neighbour.asked == [f"{ADDRESS}?limit=3&status=posted&cursor=abc"]
    assert counter.neighbour.heard[-1]["authorization"] == payer["Authorization"]
    seen = answer.json()
    assert (seen["next"], seen["prev"]) == ("n", None)
    assert [transfer.pop("memo", None) for transfer in seen["transfers"]] == [
        None,
        {"description": "rent", "metadata": {"k": "v"}},
        None,
    ]
    assert seen["transfers"] == transfers


async def test_what_the_ledger_refuses_is_refused(counter: Counter) -> None:
    counter.neighbour.status = 404
    counter.neighbour.body = {"code": "account_not_found"}
    payer = counter.keys.bearer(counter.payer.owner_id)
    async with counter.http() as http:
        answer = await http.get(ADDRESS, params={"account_id": new_id()}, headers=payer)
        assert (answer.status_code, answer.json()) == (404, {"code": "account_not_found"})
        counter.neighbour.away = True
        assert (await http.get(ADDRESS, headers=payer)).status_code == 503
        assert (await http.get(ADDRESS)).status_code == 401


async def test_a_list_takes_only_what_fits(counter: Counter) -> None:
    payer = counter.keys.bearer(counter.payer.owner_id)
    async with counter.http() as http:
        await sent(counter, http, metadata={"k": "v"})
        await sent(counter, http, metadata={"k": "v"})
        first = (await http.get(ADDRESS, params={"metadata.k": "v", "limit": 1}, headers=payer)).json()
        wrong: tuple[tuple[dict[str, Any], str], ...] = (
            ({"limit": 0}, "invalid_request"),
            ({"metadata.": "x"}, "invalid_request"),
            ({"metadata.k": "v", "account_id": "x"}, "invalid_request"),
            ({"metadata.k": "v", "from": "x"}, "invalid_request"),
            ({"metadata": "v"}, "query_not_understood"),
            ({"metadata.k": "v", "colour": "blue"}, "query_not_understood"),
            (
                {"metadata.k": "v", "from": "2026-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"},
                "conflicting_parameters",
            ),
            ({"metadata.k": "v", "min_amount_minor": 2, "max_amount_minor": 1}, "conflicting_parameters"),
            ({"metadata.k": "v", "cursor": "x"}, "cursor_invalid"),
            ({"metadata.k": "w", "cursor": first["next"]}, "cursor_invalid"),
        )
        for asked, code in wrong:
            answer = await http.get(ADDRESS, params=asked, headers=payer)
            assert (answer.status_code, answer.json()["code"]) == (422, code), asked
        assert (await http.put(ADDRESS, headers=payer)).status_code == 405
        assert (await http.get("/api/v1/deposits", headers=payer)).status_code == 405
