"""Where a transfer was asked for is told to fraud as numbers, in every way to ask, and never as an address."""

from typing import Any

import msgspec
import pytest

from libs.common.contracts.transfers import TransferCommand
from libs.common.ids import new_id
from libs.common.origins import OriginKeys
from tests.integration.gateway.counter import Counter

KEYS = OriginKeys("secret")


@pytest.mark.parametrize(
    ("address", "same", "other"),
    [
        ("203.0.114.7", "::ffff:203.0.114.7", "203.0.114.8"),
        ("2a02:8108:1:2::1", "2a02:8108:1:2:ffff::9", "2a02:8108:1:3::1"),
    ],
)
def test_equal_origins_have_one_number_and_different_ones_have_not(address: str, same: str, other: str) -> None:
    assert KEYS.address(address) == KEYS.address(same) != KEYS.address(other)
    assert 0 < KEYS.address(address) < 2**63
    assert OriginKeys("another secret").address(address) != KEYS.address(address)
    assert KEYS.device("phone 1") not in {KEYS.device("phone 2"), KEYS.address("phone 1"), 0}


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "192.168.0.1", "::1", "fe80::1%eth0", "unknown", "", "x"])
def test_what_says_nothing_of_who_is_behind_it_has_no_number(address: str) -> None:
    assert KEYS.address(address) == 0
    assert KEYS.device("") == 0


async def test_fraud_is_told_numbers_however_a_transfer_is_asked_for(counter: Counter) -> None:
    async with counter.http("203.0.114.7") as http:

        async def post(path: str, body: dict[str, Any], **headers: str) -> int:
            who = counter.keys.bearer(counter.payer.owner_id)
            more = {"Idempotency-Key": new_id(), "Prefer": "respond-async"}
            answer = await http.post(f"/api/v1{path}", json=body, headers=who | more | headers)
            return answer.status_code

        async def told() -> list[tuple[int, int]]:
            rows = await counter.rows("SELECT command FROM gateway.transfers ORDER BY transfer_id")
            commands = [msgspec.json.decode(row["command"], type=TransferCommand) for row in rows]
            mine = [one for one in commands if one.actor_id == counter.payer.owner_id]
            return [(one.address_key, one.device_key) for one in mine]

        def item() -> dict[str, Any]:
            return counter.body(idempotency_key=new_id())

        assert await post("/transfers", counter.body()) == 202
        assert await post("/transfers", counter.body(), **{"Tallystick-Device": "phone-1"}) == 202
        for mode in ("independent", "atomic"):
            batch = {"mode": mode, "transfers": [item()]}
            assert await post("/transfers/batch", batch, **{"Tallystick-Device": "phone-1"}) == 200
        here, phone = KEYS.address("203.0.114.7"), KEYS.device("phone-1")
        assert await told() == [(here, 0), (here, phone), (here, phone), (here, phone)]
        for wrong in ("x" * 101, "a b", "a\x7fb"):
            assert await post("/transfers", counter.body(), **{"Tallystick-Device": wrong}) == 400
            assert await post("/transfers?dry_run=true", counter.body(), **{"Tallystick-Device": wrong}) == 400
        assert len(await told()) == 4
