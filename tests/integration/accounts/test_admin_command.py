"""`tallystick admin create`: the first administrator of an installation, made by whoever has its database."""

import asyncio
import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from libs.common.audit.asker import by_itself
from libs.common.errors import Conflict
from libs.common.ids import new_id
from libs.common.messaging.outgoing_message import Outgoing
from services.accounts.use_cases.create_admin import CreateAdmin
from tallystick.cli import app
from tests.integration.accounts.conftest import PASSWORD, World
from tests.support.postgres import fresh_database


@dataclass(frozen=True)
class CommandLine:
    """The command as an operator of this database runs it."""

    world: World

    async def create(
        self,
        email: str,
        *options: str,
        typed: str = f"{PASSWORD}\n",
        master_keys: Path | None = None,
        dsn: str | None = None,
    ) -> tuple[int, str]:
        keys = master_keys or self.world.keys.master_keys_file
        environment = {"TALLYSTICK_POSTGRES": dsn or self.world.admin_dsn, "ACCOUNTS_MASTER_KEYS_FILE": str(keys)}
        runner = CliRunner(env=environment)
        arguments = ["admin", "create", "--email", email, *options]
        result = await asyncio.to_thread(runner.invoke, app, arguments, input=typed)
        return result.exit_code, result.output

    async def admins(self) -> int:
        query = "SELECT count(*) FROM accounts.customers WHERE 'admin' = ANY(roles) AND status = 'active'"
        return int((await self.world.rows(query))[0]["count"])


@pytest.fixture
def empty_dsn(postgres_dsn: str) -> Iterator[str]:
    """A database without any schema of ours."""
    with fresh_database(postgres_dsn) as dsn:
        yield dsn


@pytest.fixture
async def tallystick(world: World) -> CommandLine:
    # The module's tests share a database; each begins without an administrator.
    await world.rows("UPDATE accounts.customers SET roles = '{customer}'")
    return CommandLine(world)


async def test_the_first_administrator_logs_in_with_what_was_typed_and_everybody_is_told(
    world: World, tallystick: CommandLine
) -> None:
    code, output = await tallystick.create("First@Example.com", "--name", "Ada Lovelace")
    assert code == 0, output
    assert PASSWORD not in output
    user_id = output.split(" ", 1)[0]
    token = (await world.log_in("first@example.com")).json()["access_token"]
    me = (await world.http.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})).json()
    assert (me["user_id"], me["roles"], me["full_name"]) == (user_id, ["admin"], "Ada Lovelace")
    [entry] = await world.rows("SELECT * FROM accounts.audit_log WHERE resource_id = $1", user_id)
    assert (entry["action"], entry["outcome"], entry["actor_kind"], entry["actor_id"], entry["facts"]) == (
        "customer.set_roles",
        "done",
        "system",
        "tallystick",
        '{"after":["admin"],"before":[]}',
    )
    # Left for the running service, which publishes it.
    left = await world.rows("SELECT payload FROM accounts.outbox")
    messages = [one for row in left for one in msgspec.msgpack.decode(row["payload"], type=list[Outgoing])]
    assert user_id in {message.key for message in messages}


async def test_another_is_made_only_when_it_is_said(world: World, tallystick: CommandLine) -> None:
    assert (await tallystick.create("one@example.com"))[0] == 0
    code, output = await tallystick.create("two@example.com")
    assert (code, "--another" in output) == (1, True)
    assert (await world.log_in("two@example.com")).status_code == 401
    code, output = await tallystick.create("two@example.com", "--another", "--generate", typed="")
    assert code == 0, output
    password = output.split("password: ")[1].strip()
    assert (await world.log_in("two@example.com", password)).status_code == 200
    assert await tallystick.admins() == 2


async def test_of_two_first_administrators_at_once_one_is_made(world: World, tallystick: CommandLine) -> None:
    create = CreateAdmin(world.uow, world.passwords, world.clock)

    async def attempt() -> str:
        try:
            await create(
                email=f"{new_id()}@example.com",
                password=PASSWORD,
                full_name="Ada",
                roles=frozenset({"admin"}),
                another=False,
                asker=by_itself("tallystick"),
            )
        except Conflict as refusal:
            return refusal.code
        return "made"

    assert sorted(await asyncio.gather(attempt(), attempt(), attempt())) == ["admin_exists", "admin_exists", "made"]
    assert await tallystick.admins() == 1


@pytest.mark.parametrize(
    ("typed", "email"),
    [
        ("short!pw\n", "brief@example.com"),
        ("123456789987654321\n", "common@example.com"),
        (f"{PASSWORD}\n", "no address"),
    ],
)
async def test_what_the_interface_would_refuse_is_refused_and_not_repeated(
    world: World, tallystick: CommandLine, typed: str, email: str
) -> None:
    code, output = await tallystick.create(email, typed=typed)
    assert (code, typed.strip() in output, await tallystick.admins()) == (1, False, 0)


async def test_a_known_email_is_not_promoted(world: World, tallystick: CommandLine) -> None:
    user_id = await world.register("known@example.com")
    assert (await tallystick.create("known@example.com"))[0] == 1
    assert (await world.rows("SELECT roles FROM accounts.customers WHERE user_id = $1", user_id)) == [
        {"roles": ["customer"]}
    ]


async def test_other_master_keys_than_the_service_s_make_nobody(
    world: World, tallystick: CommandLine, tmp_path: Path
) -> None:
    await world.register()
    others = tmp_path / "others.keys"
    others.write_bytes(base64.b64encode(b"o" * 32))
    code, output = await tallystick.create("lost@example.com", master_keys=others)
    assert (code, "not the master keys" in output) == (1, True)
    others.write_bytes(world.keys.master_keys_file.read_bytes() + b"\n" + base64.b64encode(b"o" * 32))
    code, output = await tallystick.create("lost@example.com", master_keys=others)
    assert (code, "not the master keys" in output) == (1, True)
    code, output = await tallystick.create("lost@example.com", master_keys=tmp_path / "absent.keys")
    assert (code, "--master-keys" in output) == (1, True)
    assert await tallystick.admins() == 0


async def test_a_database_that_is_not_there_or_not_migrated_is_a_sentence(
    tallystick: CommandLine, empty_dsn: str
) -> None:
    code, output = await tallystick.create("empty@example.com", dsn=empty_dsn)
    assert (code, "is it migrated?" in output, "INSERT" in output) == (1, True, False)
    code, output = await tallystick.create("gone@example.com", dsn=empty_dsn.replace("/test_", "/absent_"))
    assert (code, output.startswith("tallystick: accounts' database cannot be")) == (1, True)
