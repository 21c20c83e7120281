"""An asset that is added while everything runs is money like any other."""

import asyncio
import subprocess
import sys

from tests.e2e.api_client import Api, Person, new_key, problem, wait_until
from tests.support.api_world import admin_connection

RATE = "INSERT INTO fraud.usd_rates (asset, numerator, denominator, as_of, version) VALUES ('CHF', 112, 100, now(), 1)"


def test_an_added_asset_is_opened_and_deposited_once_it_has_a_rate(api: Api, alice: Person, bob: Person) -> None:
    assert api.post("/accounts", {"asset": "CHF"}, token=alice.token).json()["code"] == "unknown_asset"
    added = subprocess.run(
        [sys.executable, "-m", "tallystick.cli", "assets", "add", "CHF", "--exponent", "2", "--data", str(api.folder)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert added.stdout.startswith("CHF added")

    wait_until(
        "accounts knows it",
        lambda: api.post("/accounts", {"asset": "CHF"}, token=alice.token).status_code < 300,
        seconds=30,
    )
    accounts = [
        account for account in api.get("/accounts", alice.token).json()["accounts"] if account["asset"] == "CHF"
    ]
    account_id = accounts[0]["account_id"]
    wait_until(
        "the ledger has opened it", lambda: api.get(f"/accounts/{account_id}", alice.token).json()["status"] == "active"
    )
    deposit = {"account_id": account_id, "amount_minor": 500, "asset": "CHF", "reference": "cash"}
    first_key = new_key()

    def refused() -> bool:
        answer = api.post("/deposits", deposit, token=api.admin_token, key=first_key)
        return answer.status_code != 202 and problem(answer, 403, "asset_without_rate")["asset"] == "CHF"

    wait_until("fraud has waited for a rate", refused)

    async def rate() -> None:
        async with admin_connection(api.dsn) as connection:
            await connection.execute(RATE)

    asyncio.run(rate())
    assert api.post("/deposits", deposit, token=api.admin_token, key=new_key()).status_code == 201
    assert refused(), "the same key answers the same for ever"
    assert api.get(f"/accounts/{account_id}", alice.token).json()["posted_minor"] == 500
