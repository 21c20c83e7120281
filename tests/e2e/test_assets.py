"""An asset that is added while everything runs is money like any other."""

import asyncio
import subprocess
import sys
import time

from services.fraud.use_cases.read_policy import FRESH_SECONDS
from tests.e2e.api_client import Api, Person, new_key, wait_until
from tests.support.api_world import admin_connection

RATE = "INSERT INTO fraud.usd_rates (asset, numerator, denominator, as_of, version) VALUES ('CHF', 112, 100, now(), 1)"


def test_an_added_asset_is_opened_deposited_and_paid(api: Api, alice: Person, bob: Person) -> None:
    assert api.post("/accounts", {"asset": "CHF"}, token=alice.token).json()["code"] == "unknown_asset"
    added = subprocess.run(
        [sys.executable, "-m", "tallystick.cli", "assets", "add", "CHF", "--exponent", "2", "--data", str(api.folder)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert added.stdout.startswith("CHF added")

    async def rate() -> None:
        async with admin_connection(api.dsn) as connection:
            await connection.execute(RATE)

    asyncio.run(rate())
    time.sleep(FRESH_SECONDS + 1)  # before, fraud would park what it cannot judge, and a person would have to look
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
    assert api.post("/deposits", deposit, token=api.admin_token, key=new_key()).status_code == 201
    assert api.get(f"/accounts/{account_id}", alice.token).json()["posted_minor"] == 500
