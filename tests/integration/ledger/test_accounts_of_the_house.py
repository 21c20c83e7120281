"""Accounts of the house and assets: the command that readiness names really brings back what is missing."""

import json
import re
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import pytest

from libs.common.clock import system_clock
from libs.common.contracts.ledger import AssetAdded
from libs.common.contracts.transfers import Leg
from libs.common.db.hot import HotConnection
from libs.common.errors import Conflict
from libs.common.money import ASSET_EXPONENTS
from services.ledger.use_cases.keep_assets import KeepAssets
from services.ledger.use_cases.publish_assets import PublishAssets
from services.ledger.use_cases.watch_system_accounts import WatchSystemAccounts
from tallystick.reconciliation.run import reconcile
from tallystick.stack.stack_secrets import load_or_make_secrets
from tests.integration.ledger.books import Books, check
from tests.support.api_world import ROLE_PASSWORD, MovedClock, RecordingPublisher, admin_connection
from tests.support.command_line import tallystick
from tests.support.ledger_builders import RESERVE, deposit, id_of, screened, withdrawal


@pytest.mark.parametrize(
    ("damage", "number"),
    [
        ("DELETE FROM ledger.accounts WHERE account_number = 'SYS-RESERVE-0001' AND asset = 'USD'", "SYS-RESERVE-0001"),
        ("UPDATE ledger.accounts SET status = 'frozen' WHERE account_number = 'SYS-FEES-0001' AND asset = 'USD'",
         "SYS-FEES-0001"),
    ],
)  # fmt: skip
async def test_the_printed_command_brings_an_account_of_the_house_back_with_its_balance(
    books: Books, ledger_dsn: str, admin_dsn: str, tmp_path: Path, damage: str, number: str
) -> None:
    await books.fund(alice=1_000, bob=1)
    reserve = "SELECT posted_minor, pending_in_minor, last_seq FROM ledger.accounts WHERE account_id = $1"
    async with admin_connection(admin_dsn) as admin:
        before = await admin.fetchrow(reserve, RESERVE)
        await admin.execute(damage)
    connection = HotConnection(ledger_dsn, "test")
    watch = WatchSystemAccounts(connection)
    await watch.look()
    trouble = watch.trouble()
    assert trouble is not None
    (command,) = re.findall("run `(.*)`", trouble)
    secrets = load_or_make_secrets(tmp_path)
    passwords = dict.fromkeys(secrets.role_passwords, ROLE_PASSWORD)
    (tmp_path / "secrets.json").write_text(json.dumps(asdict(secrets) | {"role_passwords": passwords}))
    done = tallystick(*command.split()[1:], "--data", str(tmp_path), "--postgres", admin_dsn)
    assert done == (0, f"restored {number} USD\n", "")
    await watch.look()
    assert watch.trouble() is None
    async with admin_connection(admin_dsn) as admin:
        assert await admin.fetchrow(reserve, RESERVE) == before
    await books.insist(deposit("after", "alice", 5))
    assert books.last("after") == [("posted", "")]
    assert (await reconcile(admin_dsn, scope="books")).agrees
    await connection.close()


async def test_a_reserve_comes_back_with_what_holds_reserve_on_it(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000)
    await books.do(withdrawal("w", "alice", 100))
    part = Leg(RESERVE, id_of("alice"), 50, "USD", id_of("owner of alice"))
    await books.do(screened("h", part, verdict="hold", reasons=("kyc_pending",), kind="deposit", payer="operator"))
    await books.outcomes.flush()
    async with admin_connection(admin_dsn) as admin:
        row = "SELECT posted_minor, pending_out_minor, last_seq FROM ledger.accounts WHERE account_id = $1"
        before = await admin.fetchrow(row, RESERVE)
        assert tuple(before) == (-900, 50, 2)
        await admin.execute("DELETE FROM ledger.accounts WHERE account_id = $1", RESERVE)
        assert await KeepAssets(admin_dsn, system_clock).restore_accounts() == ["SYS-RESERVE-0001 USD"]
        assert await admin.fetchrow(row, RESERVE) == before
    assert await KeepAssets(admin_dsn, system_clock).restore_accounts() == [], "nothing is done twice"
    await check(admin_dsn)


async def test_a_new_asset_has_its_accounts_and_keeps_its_exponent(ledger_dsn: str, admin_dsn: str) -> None:
    assets = KeepAssets(admin_dsn, system_clock)
    assert await assets.add("XTEST", 3)
    assert not await assets.add("XTEST", 3)
    with pytest.raises(Conflict, match="asset_exponent_fixed"):
        await assets.add("XTEST", 2)
    assert [asset.code for asset in await assets.known()][-1] == "XTEST"
    connection = HotConnection(ledger_dsn, "test")
    watch = WatchSystemAccounts(connection)
    assert "XTEST" not in ASSET_EXPONENTS
    await watch.look()
    assert (watch.trouble(), ASSET_EXPONENTS["XTEST"]) == (None, 3)
    await connection.close()
    publisher, clock = RecordingPublisher(), MovedClock()
    publish = PublishAssets(connection, publisher, clock)
    await publish()
    assert publisher.sent == [], "not before every process of the ledger knows it"
    clock.move(timedelta(seconds=10))
    await publish()
    (said,) = publisher.said("XTEST")
    assert isinstance(said, AssetAdded)
    assert (said.code, said.exponent) == ("XTEST", 3)
    await connection.close()
