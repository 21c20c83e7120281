"""The list of a transfer's reversals: what moved back, what was refused, why, and who may know."""

import asyncio
from typing import Any

import httpx2
import msgspec

from libs.common.contracts.gateway import ReverseTransfer
from libs.common.ids import new_id
from services.gateway.api.merged_openapi import merge
from services.gateway.domain.outcomes import Outcome
from tests.integration.gateway.counter import AT, Counter, changed
from tests.integration.gateway.test_transfer_commands import REASON, Till, posted_till

SHORT: dict[str, int | str] = {"needed_minor": 5_000, "available_minor": 1_250}


async def listed(at: Till, who: dict[str, str] | None = None, **asked: Any) -> httpx2.Response:
    who = who or at.bearer(at.counter.payer.owner_id)
    return await at.http.get(f"/api/v1/transfers/{at.transfer_id}/reversals", params=asked, headers=who)


async def ask(at: Till, body: dict[str, Any], who: dict[str, str] | None = None) -> ReverseTransfer:
    assert (await at.ask("reversals", {**REASON, **body}, who=who)).status_code == 202
    command = at.sent()[-1]
    assert isinstance(command, ReverseTransfer)
    return command


async def test_reversals_are_listed_oldest_first_with_what_became_of_each(counter: Counter) -> None:
    async with counter.http() as http:
        at = await posted_till(counter, http)
        await counter.hear_all(changed(at.transfer_id, "posted", 1, journal_index=10, fee_minor=3))
        assert (await listed(at)).json() == {"reversals": [], "next": None}
        operator_id = new_id()
        whole = {"amount_minor": 200, "with_fees": True, "reason": "one was broken"}
        part = await ask(at, whole, at.bearer(operator_id, "operator"))
        await counter.hear_all(
            changed(part.command_id, "posted", 1, journal_index=20, reverses=at.transfer_id, fee_minor=-1),
            changed(at.transfer_id, "posted", 2, journal_index=21, reversed_minor=(200,), fee_minor=2),
        )
        excess = await ask(at, {"amount_minor": 301})
        await counter.hear_all(changed(excess.command_id, "refused", 1, "reversal_exceeds_transfer"))
        rest = await ask(at, {})
        waiting = (await listed(at)).json()["reversals"][2]
        await counter.hear_all(
            changed(rest.command_id, "posted", 1, journal_index=30, reverses=at.transfer_id),
            changed(at.transfer_id, "posted", 3, journal_index=31, reversed_minor=(500,), fee_minor=2),
        )
        answer = (await listed(at)).json()
    known = {"actor_id": counter.payee.owner_id, "with_fees": False, "memo": REASON}
    assert waiting == {
        **known,
        "transfer_id": rest.command_id,
        "status": "accepted",
        "accepted_at": rest.requested_at,
    }
    assert answer["next"] is None
    assert answer["reversals"] == [
        {
            "transfer_id": part.command_id,
            "status": "posted",
            "actor_id": operator_id,
            "with_fees": True,
            "accepted_at": part.requested_at,
            "settled_at": AT,
            "amounts_minor": [200],
            "amount_minor": 200,
            "fee_minor": -1,
            "memo": {"reason": "one was broken"},
        },
        {
            **known,
            "transfer_id": excess.command_id,
            "status": "refused",
            "accepted_at": excess.requested_at,
            "settled_at": AT,
            "amounts_minor": [301],
            "amount_minor": 301,
            "code": "reversal_exceeds_transfer",
            "failure_reason": answer["reversals"][1]["failure_reason"],
        },
        {
            **known,
            "transfer_id": rest.command_id,
            "status": "posted",
            "accepted_at": rest.requested_at,
            "settled_at": AT,
            "amounts_minor": [300],
            "amount_minor": 300,
        },
    ]


async def test_of_several_legs_each_has_its_amount(counter: Counter) -> None:
    async with counter.http() as http:
        at = await posted_till(counter, http, 500, 300)
        await ask(at, {"amounts_minor": [100, 0]})
        [one] = (await listed(at)).json()["reversals"]
    assert (one["amounts_minor"], one["amount_minor"]) == ([100, 0], 100)


async def test_reversals_are_for_the_parties_and_staff(counter: Counter) -> None:
    async with counter.http() as http:
        at = await posted_till(counter, http)
        await ask(at, {})
        for who in (counter.payer.owner_id, counter.payee.owner_id):
            assert len((await listed(at, at.bearer(who))).json()["reversals"]) == 1
        assert len((await listed(at, at.bearer(new_id(), "support"))).json()["reversals"]) == 1
        missing = [Till(counter, http, transfer_id) for transfer_id in (new_id(), "x")]
        for answer in [await listed(at, at.bearer(new_id())), *[await listed(other) for other in missing]]:
            assert (answer.status_code, answer.json()["code"]) == (404, "transfer_not_found")
        assert (await listed(at, {"Authorization": "Bearer x"})).status_code == 401


async def test_what_the_payee_holds_is_in_no_list_but_staff_s(counter: Counter) -> None:
    async with counter.http() as http:
        at = await posted_till(counter, http)
        refused = changed((await ask(at, {})).command_id, "refused", 1, "insufficient_funds")
        await counter.hear_all(msgspec.structs.replace(refused, facts=SHORT))
        [payer] = (await listed(at)).json()["reversals"]
        [staff] = (await listed(at, at.bearer(new_id(), "operator"))).json()["reversals"]
    assert payer["code"] == staff["code"] == "insufficient_funds"
    assert "1250" in staff["failure_reason"]
    assert "1250" not in payer["failure_reason"]
    assert "amounts_minor" not in payer


async def test_pages_go_on_where_the_one_before_ended(counter: Counter) -> None:
    async with counter.http() as http:
        at, other = await posted_till(counter, http), await posted_till(counter, http)
        ids = []
        for amount_minor in range(1, 6):
            ids.append((await ask(at, {"amount_minor": amount_minor})).command_id)
            await ask(other, {"amount_minor": amount_minor})
        found: list[str] = []
        sizes: list[int] = []
        more: dict[str, str] = {}
        while True:
            page = (await listed(at, None, limit=2, **more)).json()
            sizes.append(len(page["reversals"]))
            found += [one["transfer_id"] for one in page["reversals"]]
            if page["next"] is None:
                break
            more = {"cursor": page["next"]}
        assert (found, sizes) == (ids, [2, 2, 1])
        assert (await listed(at, limit=5)).json()["next"] is None
        strange = await listed(other, None, **more)
        assert (strange.status_code, strange.json()["code"]) == (422, "cursor_invalid")
        for limit in (0, 201, "x"):
            assert (await listed(at, limit=limit)).status_code == 422


async def test_who_was_just_answered_sees_it_before_the_projection_has_it(counter: Counter) -> None:
    async with counter.http() as http:
        at = await posted_till(counter, http)
        command = await ask(at, {"amount_minor": 7})
        counter.waiters.expect(command.command_id, asyncio.get_running_loop().create_future())
        counter.waiters.resolve(Outcome(command.command_id, "posted", 1, "", (), {}, 9, AT))
        [one] = (await listed(at)).json()["reversals"]
    assert (one["status"], one["settled_at"]) == ("posted", AT)


async def test_the_list_is_described_and_found_by_an_index(counter: Counter) -> None:
    described = merge(counter.app().openapi(), {})["paths"]["/api/v1/transfers/{transfer_id}/reversals"]
    assert {"get", "post"} <= described.keys()
    answer = described["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/ReversalPage"}
    found = await counter.rows("SELECT indexdef FROM pg_indexes WHERE indexname = 'commands_reversals'")
    assert "(subject_id, command_id)" in found[0]["indexdef"]
