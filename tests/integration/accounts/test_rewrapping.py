"""`tallystick keys rewrap`: every customer's key goes over to the newest master key, and his data stays as it is."""

import asyncio
import base64
from pathlib import Path

import pytest
from typer.testing import CliRunner

from libs.common.ids import new_id
from libs.common.personal.sealing import Sealer
from tallystick.cli import app
from tallystick.stack.rewrapping import PAGE, PERSONAL, Wrapped, rewrap
from tests.integration.accounts.conftest import World
from tests.support.api_world import MASTER_KEY, SEALER, admin_connection

NEW = b"a newer master key for a test!!!"
BOTH, NEW_ALONE = Sealer([NEW, MASTER_KEY]), Sealer([NEW])
CUSTOMERS, MAILS = PERSONAL["accounts"]
INSERT = """
INSERT INTO accounts.customers (user_id, personal_key, email_hash, email_sealed, full_name_sealed, password_hash, roles,
    profile, status, version, registered_at, changed_at, deleted_at)
VALUES ($1, $2, $3, $4, $5, '', '{customer}', 'retail', 'closed', 1, now(), now(), now())
"""


async def store_deleted(world: World, count: int) -> None:
    """Store so many customers who closed and were deleted, sealed by the older key."""
    rows = []
    for _ in range(count):
        user_id = new_id()
        key, email = SEALER.new_key(user_id), f"{user_id}@example.com"
        sealed = [SEALER.seal(key, user_id, field, email) for field in ("email", "full_name")]
        rows.append((user_id, key, SEALER.search_hash(email), *sealed))
    async with admin_connection(world.admin_dsn) as connection:
        await connection.executemany(INSERT, rows)


async def wrapped_by(world: World, sealer: Sealer) -> int:
    query = "SELECT count(*) FROM accounts.customers WHERE substring(personal_key FOR 8) = $1"
    return int((await world.rows(query, sealer.newest_id))[0]["count"])


async def test_all_are_wrapped_anew_and_open_by_the_newest_key_alone(world: World, tmp_path: Path) -> None:
    user_id = await world.register("rewrapped@example.com")
    token = (await world.log_in("rewrapped@example.com")).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    secret = (await world.http.post("/api/v1/auth/totp", headers=headers)).json()["secret"]
    await store_deleted(world, 3)
    file = tmp_path / "two.keys"
    file.write_bytes(b"\n".join(base64.b64encode(key) for key in (NEW, MASTER_KEY)))
    environment = {"TALLYSTICK_POSTGRES": world.admin_dsn, "ACCOUNTS_MASTER_KEYS_FILE": str(file)}
    # This database has no kyc: accounts comes first, and a broken-off run is begun again.
    result = await asyncio.to_thread(
        CliRunner(env=environment).invoke, app, ["keys", "rewrap", "--kyc-master-keys", str(file)]
    )
    assert "accounts.customers: " in result.output
    assert "accounts.mails: " in result.output
    assert (result.exit_code, "kyc.verifications could not" in result.output) == (1, True)

    assert await wrapped_by(world, SEALER) == 0
    [row] = await world.rows("SELECT * FROM accounts.customers WHERE user_id = $1", user_id)
    opened = NEW_ALONE.open(row["personal_key"], user_id, "email", row["email_sealed"])
    assert opened == "rewrapped@example.com"
    assert BOTH.search_hash(opened) == row["email_hash"]
    [factor] = await world.rows("SELECT * FROM accounts.authenticators WHERE user_id = $1", user_id)
    assert NEW_ALONE.open(row["personal_key"], user_id, "totp_secret", factor["sealed_secret"]) == secret
    for mail in await world.rows("SELECT mail_id::text, content FROM accounts.mails"):
        assert NEW_ALONE.open_in_passing(mail["mail_id"], mail["content"])
    for one in await world.rows("SELECT user_id::text, personal_key, email_sealed FROM accounts.customers"):
        assert NEW_ALONE.open(one["personal_key"], one["user_id"], "email", one["email_sealed"])


async def test_what_was_broken_off_goes_on_where_it_stopped(world: World) -> None:
    before = await wrapped_by(world, SEALER)
    await store_deleted(world, PAGE + 50 - before)
    total = PAGE + 50
    done = 0

    def breaking_off(sealer: Sealer, of: str, old: bytes) -> bytes:
        nonlocal done
        done += 1
        if done == PAGE + 10:
            raise ConnectionError("the machine is switched off")
        return sealer.rewrap(old, of)

    with pytest.raises(ConnectionError):
        await rewrap(world.admin_dsn, BOTH, CUSTOMERS._replace(renew=breaking_off))
    assert await wrapped_by(world, SEALER) == total - PAGE
    assert await rewrap(world.admin_dsn, BOTH, CUSTOMERS) == (total - PAGE, 0)
    assert await rewrap(world.admin_dsn, BOTH, CUSTOMERS) == (0, 0)


async def test_what_an_older_key_wraps_meanwhile_is_counted(world: World) -> None:
    await store_deleted(world, 2)

    def by_a_process_that_does_not_know(_sealer: Sealer, of: str, old: bytes) -> bytes:
        return SEALER.rewrap(old, of)

    unaware: Wrapped = CUSTOMERS._replace(renew=by_a_process_that_does_not_know)
    assert await rewrap(world.admin_dsn, BOTH, unaware) == (2, 2)


async def test_mails_that_wait_are_sealed_anew(world: World) -> None:
    await world.register()
    renewed, left = await rewrap(world.admin_dsn, BOTH, MAILS)
    assert (renewed >= 1, left) == (True, 0)
