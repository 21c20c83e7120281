"""Why a transfer failed, in a sentence: its numbers for those whose own they are, the code for whoever sees it."""

from typing import Any

import msgspec
import pytest

from libs.common.contracts.ledger import TransferStatus
from libs.common.ids import new_id
from libs.common.sentences import detail_of
from tests.integration.gateway.counter import Counter, changed
from tests.integration.gateway.test_transfer_commands import REASON, till

SHORT: dict[str, int | str] = {"needed_minor": 5_000, "available_minor": 1_250}
EXACT = "Available 1250 of asset USD is less than 5000."
PLAIN = "The source account has less available than the transfer needs."


def failed(transfer_id: str, code: str, facts: dict[str, int | str], status: TransferStatus = "refused") -> Any:
    return msgspec.structs.replace(changed(transfer_id, status, 1, code, attempts=3), facts=facts)


async def test_a_refusal_s_numbers_are_for_the_payer_and_staff(counter: Counter) -> None:
    async with counter.http() as http:
        at = await till(counter, http)
        assert "attempts" not in (await at.show()).json()
        await counter.hear_all(failed(at.transfer_id, "insufficient_funds", SHORT))
        readers = {
            "payer": at.bearer(counter.payer.owner_id),
            "payee": at.bearer(counter.payee.owner_id),
            **{role: at.bearer(new_id(), role) for role in ("support", "operator", "auditor")},
        }
        seen = {name: (await at.show(who=who)).json() for name, who in readers.items()}
    assert {name: one["failure_reason"] for name, one in seen.items()} == dict.fromkeys(seen, EXACT) | {"payee": PLAIN}
    assert {one["code"] for one in seen.values()} == {"insufficient_funds"}
    assert {one["attempts"] for one in seen.values()} == {3}


async def test_what_a_payee_holds_is_said_to_staff_alone(counter: Counter) -> None:
    async with counter.http() as http:
        at = await till(counter, http)
        await counter.hear_all(changed(at.transfer_id, "posted"))
        await at.ask("reversals", {"amount_minor": 200, **REASON})
        reversal_id = counter.sent_ids()[0]
        await counter.hear_all(failed(reversal_id, "insufficient_funds", SHORT))
        payer = (await at.show(reversal_id)).json()
        staff = (await at.show(reversal_id, who=at.bearer(new_id(), "operator"))).json()
    assert (payer["failure_reason"], staff["failure_reason"]) == (PLAIN, EXACT)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("balance_limit_exceeded", "refused"),
        ("account_frozen", "refused"),
        ("kyc_required", "blocked"),
        ("hold_expired", "voided"),
        ("a_rule_of_tomorrow", "blocked"),
    ],
)
async def test_other_failures_say_nothing_but_their_sentence(
    code: str, status: TransferStatus, counter: Counter
) -> None:
    async with counter.http() as http:
        at = await till(counter, http)
        await counter.hear_all(failed(at.transfer_id, code, {"posted_minor": 77, "maximum_minor": 99}, status))
        assert (await at.show()).json()["failure_reason"] == detail_of(code)


async def test_lists_say_why_as_well(counter: Counter) -> None:
    async with counter.http() as http:
        at = await till(counter, http, metadata={"k": "v"})
        asked = {"metadata.k": "v"}

        async def listed(who: dict[str, str]) -> list[dict[str, Any]]:
            answer = await http.get("/api/v1/transfers", params=asked, headers=who)
            found: list[dict[str, Any]] = answer.json()["transfers"]
            return found

        payer, payee = at.bearer(counter.payer.owner_id), at.bearer(counter.payee.owner_id)
        staff = at.bearer(new_id(), "auditor")
        (accepted,) = await listed(payer)
        assert (accepted["attempts"], accepted["failure_reason"]) == (0, "")
        await counter.hear_all(failed(at.transfer_id, "insufficient_funds", SHORT))
        for who in (payer, staff):
            (one,) = await listed(who)
            assert (one["code"], one["failure_reason"], one["attempts"]) == ("insufficient_funds", EXACT, 3)
        assert await listed(payee) == []
