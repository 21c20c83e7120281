"""Captures, voids and reversals: who may ask, what is sent once a key, and what is answered."""

import asyncio
import json
import re
from datetime import timedelta
from typing import Any

import asyncpg
import httpx2
import msgspec
import pytest

from libs.common.contracts.base import Message
from libs.common.contracts.gateway import CaptureTransfer, ReverseTransfer, VoidTransfer
from libs.common.contracts.ledger import TransferChanged
from libs.common.ids import new_id
from libs.common.messaging.records import Glimpse
from libs.common.money import MAX_AMOUNT_MINOR
from services.gateway.api.complete_document import complete
from services.gateway.api.merged_openapi import merge
from services.gateway.consumers.on_transfer_changed import WakeWaiters
from services.gateway.use_cases.repeat_requests import Repeater
from tests.integration.gateway.counter import AT, Counter, changed, decided
from tests.integration.gateway.test_intake import until

HELD: dict[str, Any] = {"resolver": "caller", "expires_at": "2026-03-08T09:30:00.000000Z"}
REASON = {"reason": "goods came back"}


class Till:
    """A client beside one transfer of the counter's payer."""

    def __init__(self, counter: Counter, http: httpx2.AsyncClient, transfer_id: str) -> None:
        self.counter, self.http, self.transfer_id = counter, http, transfer_id

    async def ask(
        self,
        action: str,
        body: dict[str, Any] | None = None,
        *,
        key: str = "",
        who: dict[str, str] | None = None,
        wait: str = "respond-async",
    ) -> httpx2.Response:
        """Ask as the payer, or for a reversal as the payee, unless somebody else is named."""
        party = self.counter.payee if action == "reversals" else self.counter.payer
        headers = {"Idempotency-Key": key or new_id(), "Prefer": wait, **(who or self.bearer(party.owner_id))}
        path = f"/api/v1/transfers/{self.transfer_id}/{action}"
        return await self.http.post(path, json=body, headers=headers)

    def bearer(self, user_id: str, *roles: str) -> dict[str, str]:
        return self.counter.keys.bearer(user_id, *roles)

    async def show(self, transfer_id: str = "", *, who: dict[str, str] | None = None) -> httpx2.Response:
        who = who or self.bearer(self.counter.payer.owner_id)
        return await self.http.get(f"/api/v1/transfers/{transfer_id or self.transfer_id}", headers=who)

    def sent(self) -> list[Message]:
        """Return the commands sent about the transfer."""
        return self.counter.publisher.said(self.transfer_id)


async def till(counter: Counter, http: httpx2.AsyncClient, *amounts_minor: int, **body: Any) -> Till:
    """Return a till beside a transfer that was accepted: of one leg, or of these legs."""
    legs = [counter.body(amount_minor=amount_minor) for amount_minor in amounts_minor]
    headers = {**counter.keys.bearer(counter.payer.owner_id), "Idempotency-Key": new_id(), "Prefer": "respond-async"}
    asked = {"legs": legs, **body} if legs else counter.body(amount_minor=500, **body)
    answer = await http.post("/api/v1/transfers", json=asked, headers=headers)
    assert answer.status_code == 202, answer.text
    counter.publisher.sent.clear()
    return Till(counter, http, answer.json()["transfer_id"])


async def held_till(counter: Counter, http: httpx2.AsyncClient, *amounts_minor: int) -> Till:
    at = await till(counter, http, *amounts_minor, hold=True)
    await counter.hear_all(changed(at.transfer_id, "held", 1, **HELD))
    return at


async def posted_till(counter: Counter, http: httpx2.AsyncClient, *amounts_minor: int, **body: Any) -> Till:
    at = await till(counter, http, *amounts_minor, **body)
    await counter.hear_all(changed(at.transfer_id, "posted"))
    return at


def captured(at: Till, amount_minor: int, version: int, *, last: bool = False) -> TransferChanged:
    return changed(at.transfer_id, "posted" if last else "held", version, captured_minor=(amount_minor,), **HELD)


async def test_a_capture_is_stored_sent_waited_for_and_answered_with_the_state_it_made(counter: Counter) -> None:
    async with counter.http() as http:
        at = await held_till(counter, http)
        asking = asyncio.create_task(at.ask("capture", {"amount_minor": 200}, wait="wait=20"))
        await until(lambda: bool(at.sent()))
        [command] = at.sent()
        assert isinstance(command, CaptureTransfer)
        assert (command.amounts_minor, command.is_final, command.actor_id) == ((200,), False, counter.payer.owner_id)
        assert command.command_id == counter.sent_ids()[0]
        [row] = await counter.rows("SELECT message FROM gateway.commands WHERE command_id = $1", command.command_id)
        assert row["message"] == counter.publisher.sent[0].payload
        await counter.hear_all(captured(at, 200, 2), decided(command.command_id))
        answer = await asking
        assert answer.status_code == 200
        document = answer.json()
        assert (document["status"], document["captured_minor"], document["version"]) == ("held", 200, 2)
        assert (await at.show()).json() == document


async def test_a_copy_of_a_capture_is_answered_alike_after_the_next_one_and_sends_nothing(counter: Counter) -> None:
    key = new_id()
    async with counter.http() as http:
        at = await held_till(counter, http)
        assert (await at.ask("capture", {"amount_minor": 200}, key=key)).status_code == 202
        await counter.hear_all(captured(at, 200, 2), decided(counter.sent_ids()[0]))
        first = await at.ask("capture", {"amount_minor": 200, "final": False}, key=key)
        await counter.hear_all(captured(at, 500, 3, last=True))
        again = await at.ask("capture", {"amount_minor": 200}, key=key)
        other = await at.ask("capture", {"amount_minor": 201}, key=key)
        assert (await at.show()).json()["captured_minor"] == 500
    assert (first.status_code, again.content, again.headers["idempotency-replayed"]) == (200, first.content, "true")
    assert first.json()["captured_minor"] == 200
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(at.sent()) == 1


async def test_one_key_means_something_else_for_another_transfer_and_another_kind_of_command(counter: Counter) -> None:
    key = new_id()
    async with counter.http() as http:
        first, second = await held_till(counter, http), await held_till(counter, http)
        assert (await first.ask("capture", {}, key=key)).status_code == 202
        assert (await second.ask("capture", {}, key=key)).json()["code"] == "idempotency_key_reused"
        assert (await first.ask("void", key=key)).status_code == 202


async def test_copies_that_come_together_are_one_command_with_one_answer(counter: Counter) -> None:
    key = new_id()
    async with counter.http() as http:
        at = await held_till(counter, http)
        asking = [asyncio.create_task(at.ask("capture", {}, key=key, wait="wait=20")) for _ in range(5)]
        await until(lambda: bool(at.sent()))
        await asyncio.sleep(0.2)
        assert len(at.sent()) == 1
        await counter.hear_all(captured(at, 500, 2, last=True), decided(counter.sent_ids()[0]))
        answers = await asyncio.gather(*asking)
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}


async def test_what_is_not_decided_in_time_is_accepted_and_says_where_to_ask(counter: Counter) -> None:
    async with counter.http() as http:
        at = await held_till(counter, http)
        answer = await at.ask("capture", {}, wait="wait=0")
    assert (answer.status_code, answer.headers["location"]) == (202, f"/api/v1/transfers/{at.transfer_id}")
    assert answer.headers["preference-applied"] == "wait=0"
    command_id = counter.sent_ids()[0]
    assert answer.json() == {"command_id": command_id, "subject_id": at.transfer_id, "status": "accepted"}
    assert len(counter.waiters) == 0


@pytest.mark.parametrize(
    ("code", "status"), [("capture_exceeds_hold", 422), ("held_by_review", 403), ("transfer_not_found", 404)]
)
async def test_a_refusal_tells_the_ledger_s_code_and_facts_and_is_replayed(
    code: str, status: int, counter: Counter
) -> None:
    key = new_id()
    async with counter.http() as http:
        at = await held_till(counter, http)
        await at.ask("capture", {"amount_minor": 900}, key=key)
        command_id = counter.sent_ids()[0]
        await counter.hear_all(decided(command_id, code, requested_minor=900))
        first, again = [await at.ask("capture", {"amount_minor": 900}, key=key) for _ in range(2)]
    problem = first.json()
    assert (first.status_code, problem["code"], problem["requested_minor"]) == (status, code, 900)
    assert (problem["transfer_id"], problem["command_id"]) == (at.transfer_id, command_id)
    assert first.headers["content-type"] == "application/problem+json"
    assert (again.status_code, again.content) == (status, first.content)


async def test_a_void_needs_no_body_and_ends_the_hold(counter: Counter) -> None:
    async with counter.http() as http:
        at = await held_till(counter, http)
        asking = asyncio.create_task(at.ask("void", wait="wait=20"))
        await until(lambda: bool(at.sent()))
        [command] = at.sent()
        assert isinstance(command, VoidTransfer)
        state = changed(at.transfer_id, "voided", 2, "voided_by_caller", **HELD)
        await counter.hear_all(decided(command.command_id), state)
        answer = await asking
        assert (await at.ask("void", {})).status_code == 202
        assert (await at.ask("void", {"why": 1})).json()["code"] == "invalid_request"
    assert (answer.status_code, answer.json()["status"], answer.json()["code"]) == (200, "voided", "voided_by_caller")


@pytest.mark.parametrize("action", ["capture", "void", "reversals"])
async def test_a_command_never_overtakes_its_transfer_and_its_key_stays_free(action: str, counter: Counter) -> None:
    key, body = (
        new_id(),
        None if action == "void" else {"amount_minor": 200} | (REASON if action == "reversals" else {}),
    )
    async with counter.http() as http:
        at = await till(counter, http, hold=True)
        early = await at.ask(action, body, key=key)
        assert (early.status_code, early.json()["code"]) == (409, "transfer_undecided")
        assert early.headers["retry-after"] == "1"
        assert at.sent() == []
        asking = asyncio.create_task(at.ask(action, body, key=key))
        await asyncio.sleep(0.1)
        assert not asking.done()
        assert at.sent() == []
        await counter.hear_all(changed(at.transfer_id, "held", 1, **HELD))
        assert (await asking).status_code == 202
        await counter.rows("DELETE FROM gateway.outcomes WHERE transfer_id = $1", at.transfer_id)
        assert (await at.ask(action, body, key=key)).headers["idempotency-replayed"] == "true"
    assert len(at.sent()) == 1


async def test_the_state_a_command_made_is_waited_for_when_the_answer_comes_first(counter: Counter) -> None:
    async with counter.http() as http:
        at = await held_till(counter, http)
        asking = asyncio.create_task(at.ask("capture", {}, wait="wait=20"))
        await until(lambda: bool(at.sent()))
        await counter.hear_all(decided(counter.sent_ids()[0]))
        await asyncio.sleep(0.1)
        assert not asking.done()
        await counter.hear_all(captured(at, 500, 2, last=True))
        assert (await asking).json()["status"] == "posted"


async def test_the_tip_wakes_who_waits_for_a_command(counter: Counter) -> None:
    async with counter.http() as http:
        at = await held_till(counter, http)
        asking = asyncio.create_task(at.ask("capture", {}, wait="wait=20"))
        await until(lambda: bool(at.sent()))
        command_id = counter.sent_ids()[0]
        told = Glimpse(command_id, msgspec.json.encode(decided(command_id, "hold_expired")))
        WakeWaiters(counter.waiters)([Glimpse(command_id, b"{"), Glimpse(new_id(), b"{"), told])
        assert (await asking).json()["code"] == "hold_expired"


@pytest.mark.parametrize("action", ["capture", "void"])
async def test_the_payer_and_operators_end_a_hold_and_nobody_else(action: str, counter: Counter) -> None:
    async with counter.http() as http:
        at = await held_till(counter, http)
        payee, stranger = at.bearer(counter.payee.owner_id), at.bearer(new_id())
        for who, status, code in (
            (payee, 403, "not_the_payer"),
            (at.bearer(new_id(), "support"), 403, "not_the_payer"),
            (stranger, 404, "transfer_not_found"),
        ):
            answer = await at.ask(action, {}, who=who)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert at.sent() == []
        assert (await at.ask(action, {}, who=at.bearer(new_id(), "operator"))).status_code == 202


async def test_the_payee_and_operators_give_back_and_nobody_else(counter: Counter) -> None:
    async with counter.http() as http:
        at = await posted_till(counter, http)
        for who, status, code in (
            (at.bearer(counter.payer.owner_id), 403, "not_the_payee"),
            (at.bearer(new_id(), "compliance"), 403, "not_the_payee"),
            (at.bearer(new_id()), 404, "transfer_not_found"),
        ):
            answer = await at.ask("reversals", REASON, who=who)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert at.sent() == []
        for who in (at.bearer(counter.payee.owner_id), at.bearer(new_id(), "operator")):
            assert (await at.ask("reversals", REASON, who=who)).status_code == 202


@pytest.mark.parametrize("action", ["capture", "void"])
async def test_an_operator_who_is_paid_does_not_end_the_hold(action: str, counter: Counter) -> None:
    async with counter.http() as http:
        at = await held_till(counter, http)
        answer = await at.ask(action, {}, who=at.bearer(counter.payee.owner_id, "operator"))
        assert (answer.status_code, answer.json()["code"]) == (403, "own_transfer")
        assert at.sent() == []
        assert (await at.ask(action, {}, who=at.bearer(counter.payer.owner_id, "operator"))).status_code == 202


async def test_an_operator_takes_nothing_back_that_he_paid_nor_the_fee_of_what_he_was_paid(counter: Counter) -> None:
    async with counter.http() as http:
        at = await posted_till(counter, http)
        payer, payee = (at.bearer(one.owner_id, "operator") for one in (counter.payer, counter.payee))
        for who, body in ((payer, REASON), (payee, {**REASON, "with_fees": True})):
            answer = await at.ask("reversals", body, who=who)
            assert (answer.status_code, answer.json()["code"]) == (403, "own_transfer")
        assert at.sent() == []
        assert (await at.ask("reversals", REASON, who=payee)).status_code == 202


async def test_who_received_only_a_part_does_not_give_all_of_it_back(counter: Counter) -> None:
    other = counter.knows_customer()
    async with counter.http() as http:
        shared = [counter.body(), counter.body(destination_account_id=other.account_id)]
        at = await posted_till(counter, http, 1, legs=shared)
        for payee in (counter.payee, other):
            answer = await at.ask("reversals", REASON, who=at.bearer(payee.owner_id))
            assert (answer.status_code, answer.json()["code"]) == (403, "not_the_payee")


@pytest.mark.parametrize(("role", "code"), [((), "not_the_payee"), (("operator",), "own_transfer")])
async def test_nobody_takes_his_withdrawal_back(role: tuple[str, ...], code: str, counter: Counter) -> None:
    async with counter.http() as http:
        headers = {"Idempotency-Key": new_id(), "Prefer": "respond-async"}
        body = {"account_id": counter.payer.account_id, "amount_minor": 5, "asset": "USD", "reference": "atm"}
        operator = counter.keys.bearer(new_id(), "operator")
        answer = await http.post("/api/v1/withdrawals", json=body, headers={**headers, **operator})
        at = Till(counter, http, answer.json()["transfer_id"])
        await counter.hear_all(changed(at.transfer_id, "posted"))
        mine = await at.ask("reversals", REASON, who=at.bearer(counter.payer.owner_id, *role))
        assert (mine.status_code, mine.json()["code"]) == (403, code)


@pytest.mark.parametrize("action", ["capture", "reversals"])
@pytest.mark.parametrize(
    ("legs", "body", "sent"),
    [
        (1, {}, ()),
        (1, {"amount_minor": MAX_AMOUNT_MINOR}, (MAX_AMOUNT_MINOR,)),
        (1, {"amounts_minor": [3]}, (3,)),
        (2, {}, ()),
        (2, {"amounts_minor": [3, 0]}, (3, 0)),
        (2, {"amount_minor": 3}, "amounts_by_leg"),
        (2, {"amounts_minor": [3]}, "amounts_by_leg"),
        (2, {"amounts_minor": [0, 0]}, "amounts_by_leg"),
        (1, {"amount_minor": 1, "amounts_minor": [1]}, "amount_or_amounts"),
        (1, {"amount_minor": 0}, "invalid_request"),
        (1, {"amount_minor": MAX_AMOUNT_MINOR + 1}, "invalid_request"),
        (1, {"amount_minor": 1.0}, "number_not_whole"),
        (1, {"amount_minor": 1.5}, "number_not_whole"),
        (1, {"amounts_minor": []}, "invalid_request"),
        (1, {"amounts_minor": [1] * 101}, "invalid_request"),
        (1, {"amounts_minor": [-1]}, "invalid_request"),
        (1, {"unknown": 1}, "invalid_request"),
    ],
)
async def test_amounts_are_by_leg_and_bounded(
    legs: int, body: dict[str, Any], sent: tuple[int, ...] | str, action: str, counter: Counter
) -> None:
    async with counter.http() as http:
        beside = held_till if action == "capture" else posted_till
        at = await beside(counter, http, *([500] * legs))
        answer = await at.ask(action, {**body, **(REASON if action == "reversals" else {})})
    if isinstance(sent, str):
        assert (answer.status_code, answer.json()["code"], at.sent()) == (422, sent, [])
    else:
        assert answer.status_code == 202
        [command] = at.sent()
        assert isinstance(command, CaptureTransfer | ReverseTransfer)
        assert command.amounts_minor == sent


@pytest.mark.parametrize("action", ["capture", "void", "reversals"])
async def test_a_command_needs_a_key_a_token_and_a_transfer(action: str, counter: Counter) -> None:
    body = REASON if action == "reversals" else {}
    async with counter.http() as http:
        at = await posted_till(counter, http)
        path, bearer = f"/api/v1/transfers/{at.transfer_id}/{action}", at.bearer(new_id(), "operator")
        assert (await http.post(path, json=body, headers=bearer)).json()["code"] == "idempotency_key_missing"
        bad = await http.post(path, json=body, headers={**bearer, "Idempotency-Key": "a b"})
        assert (bad.status_code, bad.json()["code"]) == (400, "idempotency_key_invalid")
        assert (await http.post(path, json=body, headers={"Idempotency-Key": "k"})).status_code == 401
        for unknown in (new_id(), "no-id", at.transfer_id.upper()):
            answer = await http.post(
                f"/api/v1/transfers/{unknown}/{action}", json=body, headers={**bearer, "Idempotency-Key": "k"}
            )
            assert (answer.status_code, answer.json()["code"]) == (404, "transfer_not_found")


@pytest.mark.parametrize("reason", ["", "x" * 141, "a\nb", None, 1])
async def test_a_reversal_has_a_reason(reason: object, counter: Counter) -> None:
    async with counter.http() as http:
        at = await posted_till(counter, http)
        assert (await at.ask("reversals", {"reason": reason})).json()["code"] == "invalid_request"


async def test_fees_are_given_back_by_an_operator_alone(counter: Counter) -> None:
    body = {"with_fees": True, **REASON}
    async with counter.http() as http:
        at = await posted_till(counter, http)
        payee = await at.ask("reversals", body)
        assert (payee.status_code, payee.json()["code"], at.sent()) == (403, "role_required", [])
        assert (await at.ask("reversals", body, who=at.bearer(new_id(), "operator"))).status_code == 202
        [command] = at.sent()
    assert isinstance(command, ReverseTransfer)
    assert command.with_fees


async def test_a_customer_does_not_send_his_deposit_back_past_the_withdrawals(counter: Counter) -> None:
    body = {"account_id": counter.payee.account_id, "amount_minor": 5, "asset": "USD", "reference": "atm"}
    operator = counter.keys.bearer(new_id(), "operator")
    async with counter.http() as http:
        headers = {"Idempotency-Key": new_id(), "Prefer": "respond-async", **operator}
        answer = await http.post("/api/v1/deposits", json=body, headers=headers)
        at = Till(counter, http, answer.json()["transfer_id"])
        await counter.hear_all(changed(at.transfer_id, "posted"))
        mine = await at.ask("reversals", REASON)
        assert (mine.status_code, mine.json()["code"]) == (403, "role_required")
        assert (await at.ask("reversals", REASON, who=operator)).status_code == 202


async def test_a_reversal_is_a_transfer_of_its_own(counter: Counter) -> None:
    key, body = new_id(), {"amount_minor": 200, **REASON}
    async with counter.http() as http:
        at = await posted_till(counter, http)
        asking = asyncio.create_task(at.ask("reversals", body, key=key, wait="wait=20"))
        await until(lambda: bool(at.sent()))
        [command] = at.sent()
        assert isinstance(command, ReverseTransfer)
        assert (command.with_fees, command.amounts_minor) == (False, (200,))
        assert len(command.reason_commitment) == 64
        assert b"goods" not in counter.publisher.sent[0].payload, "free text stays here"
        reversal_id = command.command_id
        await counter.hear_all(
            changed(reversal_id, "posted", 1, reverses=at.transfer_id, fee_minor=-1),
            changed(at.transfer_id, "posted", 2, reversed_minor=(200,)),
        )
        answer = await asking
        assert (answer.status_code, answer.headers["location"]) == (201, f"/api/v1/transfers/{reversal_id}")
        assert answer.json() == {
            "transfer_id": reversal_id,
            "status": "posted",
            "version": 1,
            "kind": "reversal",
            "legs": [
                {
                    "source_account_id": counter.payee.account_id,
                    "destination_account_id": counter.payer.account_id,
                    "amount_minor": 200,
                    "asset": "USD",
                }
            ],
            "accepted_at": command.requested_at,
            "settled_at": AT,
            "fee_minor": -1,
            "reverses": at.transfer_id,
            "attempts": 1,
            "memo": REASON,
        }
        again = await at.ask("reversals", body, key=key)
        assert (again.status_code, again.content) == (201, answer.content)
        for who in (counter.payer, counter.payee):
            assert (await at.show(reversal_id, who=at.bearer(who.owner_id))).content == answer.content
        assert (await at.show(reversal_id, who=at.bearer(new_id()))).status_code == 404
        assert (await at.show()).json()["reversed_minor"] == 200


async def test_a_reversal_says_itself_how_much_all_that_is_left_was(counter: Counter) -> None:
    key = new_id()
    async with counter.http() as http:
        at = await posted_till(counter, http, 500, 300)
        reversal_id = (await at.ask("reversals", REASON, key=key)).json()["transfer_id"]
        # Of the original nothing was heard since its second state: its third was lost by the broker.
        await counter.hear_all(
            changed(at.transfer_id, "posted", 2, journal_index=20, reversed_minor=(500, 100)),
            changed(at.transfer_id, "posted", 4, journal_index=40, reversed_minor=(500, 300)),
            changed(reversal_id, "posted", 1, journal_index=39, reverses=at.transfer_id, gave_back_minor=(0, 150)),
        )
        posted = await at.ask("reversals", REASON, key=key)
        document = (await at.show(reversal_id)).json()
    assert (posted.status_code, posted.json()) == (201, document)
    assert [leg["amount_minor"] for leg in document["legs"]] == [150]


async def test_a_reversal_that_is_not_kept_yet_is_shown_as_its_caller_was_told(counter: Counter) -> None:
    async with counter.http() as http:
        at = await posted_till(counter, http, 500, 300)
        asking = asyncio.create_task(at.ask("reversals", REASON, wait="wait=20"))
        await until(lambda: bool(at.sent()))
        reversal_id = counter.sent_ids()[0]
        told = changed(reversal_id, "posted", 1, journal_index=39, reverses=at.transfer_id, gave_back_minor=(500, 300))
        WakeWaiters(counter.waiters)([Glimpse(reversal_id, msgspec.json.encode(told))])
        posted = await asking
        assert (posted.status_code, (await at.show(reversal_id)).json()) == (201, posted.json())
    assert [leg["amount_minor"] for leg in posted.json()["legs"]] == [500, 300]


async def test_a_reversal_is_answered_when_its_original_shows_it_as_well(counter: Counter) -> None:
    async with counter.http() as http:
        at = await posted_till(counter, http)
        asking = asyncio.create_task(at.ask("reversals", {"amount_minor": 200, **REASON}, wait="wait=20"))
        await until(lambda: bool(at.sent()))
        reversal_id = counter.sent_ids()[0]
        told = changed(reversal_id, "posted", 1, journal_index=39, reverses=at.transfer_id, gave_back_minor=(200,))
        WakeWaiters(counter.waiters)([Glimpse(reversal_id, msgspec.json.encode(told))])
        await asyncio.sleep(0.1)
        assert not asking.done()
        await counter.hear_all(told, changed(at.transfer_id, "posted", 2, journal_index=40, reversed_minor=(200,)))
        assert (await asking).status_code == 201


async def test_how_much_all_that_is_left_was_is_what_the_original_says_then(counter: Counter) -> None:
    key = new_id()
    async with counter.http() as http:
        at = await posted_till(counter, http, 500, 300)
        answer = await at.ask("reversals", REASON, key=key)
        assert (answer.status_code, answer.json()["status"], answer.json()["legs"]) == (202, "accepted", [])
        reversal_id = answer.json()["transfer_id"]
        assert answer.headers["location"] == f"/api/v1/transfers/{reversal_id}"
        await counter.hear_all(
            changed(at.transfer_id, "posted", 1, journal_index=10),
            changed(at.transfer_id, "posted", 2, journal_index=20, reversed_minor=(500, 100)),
            changed(reversal_id, "posted", 1, journal_index=29, reverses=at.transfer_id),
        )
        assert (await at.show(reversal_id)).json()["legs"] == []
        waiting = asyncio.create_task(at.ask("reversals", REASON, key=key))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await counter.hear_all(
            changed(at.transfer_id, "posted", 3, journal_index=30, reversed_minor=(500, 300)),
            changed(at.transfer_id, "posted", 4, journal_index=40, reversed_minor=(500, 301)),
        )
        posted = await waiting
        document = (await at.show(reversal_id)).json()
    assert (posted.status_code, posted.json()) == (201, document)
    assert [leg["amount_minor"] for leg in document["legs"]] == [200]


@pytest.mark.parametrize("known", [(2,), (1, 3), (1, 2, 3)])
async def test_what_is_missing_of_the_original_s_states_is_not_guessed(
    known: tuple[int, ...], counter: Counter
) -> None:
    async with counter.http() as http:
        at = await posted_till(counter, http)
        reversal_id = (await at.ask("reversals", REASON)).json()["transfer_id"]
        for version in known:
            state = changed(at.transfer_id, "posted", version, reversed_minor=(version,), journal_index=version * 10)
            await counter.hear_all(state)
        await counter.hear_all(changed(reversal_id, "posted", 1, reverses=at.transfer_id, journal_index=29))
        legs = (await at.show(reversal_id)).json()["legs"]
    assert [leg["amount_minor"] for leg in legs] == ([1] if known == (1, 2, 3) else [])


async def test_a_refused_reversal_is_a_problem_and_a_transfer_too(counter: Counter) -> None:
    key = new_id()
    async with counter.http() as http:
        at = await posted_till(counter, http)
        await at.ask("reversals", REASON, key=key)
        reversal_id = counter.sent_ids()[0]
        refusal = changed(reversal_id, "refused", 1, "insufficient_funds", reverses=at.transfer_id)
        await counter.hear_all(msgspec.structs.replace(refusal, facts={"needed_minor": 5, "available_minor": 1}))
        problem = await at.ask("reversals", REASON, key=key)
        assert (problem.status_code, problem.json()["code"]) == (422, "insufficient_funds")
        assert (problem.json()["needed_minor"], problem.json()["available_minor"]) == (5, 1)
        assert (problem.json()["transfer_id"], problem.json()["reverses"]) == (reversal_id, at.transfer_id)
        assert (await at.show(reversal_id)).json()["code"] == "insufficient_funds"


async def test_what_fraud_blocks_is_forbidden_and_says_no_more_than_of_a_transfer(counter: Counter) -> None:
    keys = [new_id(), new_id()]
    async with counter.http() as http:
        held, posted = await held_till(counter, http), await posted_till(counter, http)
        counter.publisher.sent.clear()
        await held.ask("capture", {}, key=keys[0])
        await posted.ask("reversals", REASON, key=keys[1])
        assert {one.topic for one in counter.publisher.sent} == {"gateway.transfer-commands.v1"}, "fraud hears them"
        capture_id, reversal_id = counter.sent_ids()
        await counter.hear_all(
            decided(capture_id, "transfer_not_permitted"),
            changed(reversal_id, "refused", 1, "transfer_not_permitted", reverses=posted.transfer_id),
        )
        for at, action, body, key in ((held, "capture", {}, keys[0]), (posted, "reversals", REASON, keys[1])):
            refused = await at.ask(action, body, key=key)
            assert (refused.status_code, refused.json()["code"]) == (403, "transfer_not_permitted")
            assert refused.json()["detail"] == "This transfer cannot be made; ask support."
            assert refused.headers["idempotency-replayed"] == "true"


async def test_a_reversal_is_neither_reversed_nor_captured(counter: Counter) -> None:
    async with counter.http() as http:
        at = await posted_till(counter, http)
        reversal = Till(counter, http, (await at.ask("reversals", REASON)).json()["transfer_id"])
        operator = at.bearer(new_id(), "operator")
        for action, body, code in (
            ("reversals", REASON, "transfer_not_reversible"),
            ("capture", {}, "transfer_not_held"),
            ("void", {}, "transfer_not_held"),
        ):
            answer = await reversal.ask(action, body, who=operator)
            assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert reversal.sent() == []


async def test_a_command_without_an_answer_is_sent_again_unchanged_less_and_less_often(counter: Counter) -> None:
    await counter.rows("DELETE FROM gateway.repeats")
    async with counter.http() as http:
        at = await held_till(counter, http)
        await counter.rows("DELETE FROM gateway.repeats")
        await at.ask("capture", {})
        [first] = counter.publisher.sent
        now = counter.clock()
        await sweep_sends(counter, now, [])
        for seconds in (5, 5, 10, 20, 40, 60):
            now += timedelta(seconds=seconds + 0.1)
            await sweep_sends(counter, now, [first])
        await counter.hear_all(captured(at, 500, 2, last=True), decided(first.message_id))
        await sweep_sends(counter, now + timedelta(hours=9), [])
    assert await counter.rows("SELECT 1 FROM gateway.repeats") == []


async def test_a_capture_is_sent_again_until_the_state_it_made_has_come_too(counter: Counter) -> None:
    async with counter.http() as http:
        at = await held_till(counter, http)
        await counter.rows("DELETE FROM gateway.repeats")
        await at.ask("capture", {"amount_minor": 200})
        [first] = counter.publisher.sent
        await counter.hear_all(decided(first.message_id, journal_index=7))
        later = changed(at.transfer_id, "posted", 3, journal_index=9, captured_minor=(500,), **HELD)
        await counter.hear_all(later)  # another's state, and not its own
        now = counter.clock() + timedelta(minutes=1)
        await sweep_sends(counter, now, [first])
        await counter.hear_all(changed(at.transfer_id, "held", 2, journal_index=7, captured_minor=(200,), **HELD))
        await sweep_sends(counter, now + timedelta(hours=9), [])
    assert await counter.rows("SELECT 1 FROM gateway.repeats") == []


async def test_a_reversal_is_sent_again_until_the_gateway_knows_what_it_made_of_the_original(counter: Counter) -> None:
    async with counter.http() as http:
        at = await posted_till(counter, http)
        await counter.hear_all(changed(at.transfer_id, "posted", 1, journal_index=3))
        await counter.rows("DELETE FROM gateway.repeats")
        await at.ask("reversals", REASON)
        [first] = counter.publisher.sent
        await counter.hear_all(changed(first.message_id, "posted", 1, journal_index=7, reverses=at.transfer_id))
        now = counter.clock() + timedelta(minutes=1)
        await sweep_sends(counter, now, [first])
        await counter.hear_all(changed(at.transfer_id, "posted", 2, journal_index=8, reversed_minor=(500,)))
        await sweep_sends(counter, now + timedelta(hours=9), [])


async def test_a_refused_command_made_nothing_that_could_be_waited_for(counter: Counter) -> None:
    async with counter.http() as http:
        at = await held_till(counter, http)
        await counter.rows("DELETE FROM gateway.repeats")
        await at.ask("void")
        await counter.hear_all(decided(counter.sent_ids()[0], "transfer_not_held"))
        await sweep_sends(counter, counter.clock() + timedelta(hours=9), [])


async def sweep_sends(counter: Counter, now: Any, expected: list[Any]) -> None:
    counter.publisher.sent.clear()
    await Repeater(counter.connections["repeats"], counter.publisher, lambda: now)._send_due()
    assert counter.publisher.sent == expected


async def test_what_was_asked_about_a_transfer_can_never_be_changed_or_removed(counter: Counter) -> None:
    async with counter.http() as http:
        at = await held_till(counter, http)
        await at.ask("void")
    for change in (
        "DELETE FROM gateway.commands",
        "TRUNCATE gateway.commands",
        "UPDATE gateway.commands SET scope = 'voids'",
    ):
        with pytest.raises(asyncpg.PostgresError, match="it is never changed"):
            await counter.rows(change)


async def test_commands_count_as_money_requests_and_their_copies_do_not(limited: Counter) -> None:
    key = new_id()
    async with limited.http() as http:
        at = await held_till(limited, http)
        statuses = [(await at.ask("capture", {"amount_minor": 1}, key=key)).status_code for _ in range(12)]
        assert set(statuses) == {202}
        more = [(await at.ask("capture", {"amount_minor": 1})).status_code for _ in range(9)]
        assert more == [202] * 8 + [429]
        assert (await at.ask("capture", {"amount_minor": 1}, key=key)).status_code == 202


async def test_commands_are_described_with_their_headers_and_every_reference_is_there(counter: Counter) -> None:
    document = merge(counter.app().openapi(), {})
    for path, method in (
        ("transfers/{transfer_id}/capture", "post"),
        ("transfers/{transfer_id}/void", "post"),
        ("transfers/{transfer_id}/reversals", "post"),
        ("admin/accounts/{account_id}/status", "put"),
        ("admin/accounts/{account_id}/limits", "put"),
    ):
        operation = document["paths"][f"/api/v1/{path}"][method]
        required = {one["name"]: one["required"] for one in operation["parameters"] if one["in"] == "header"}
        assert required == {"Idempotency-Key": True, "Prefer": False}
        assert {"202", "4XX"} < operation["responses"].keys()
        assert "422" not in operation["responses"], "the framework's own form of a 422 is never sent"
    whole = complete(document)
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(whole)))
    assert references - whole["components"]["schemas"].keys() == set()
