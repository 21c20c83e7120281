"""`tallystick admin`: make the first administrator of an installation, who makes all others."""

import asyncio
import secrets
import sys
from pathlib import Path
from typing import Annotated, Final

import asyncpg
import typer
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from libs.common.audit.asker import by_itself
from libs.common.clock import system_clock
from libs.common.db.engine import make_engine
from libs.common.db.hot import HotConnection
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import InvariantBroken, TallystickError
from libs.common.personal.sealing import Sealer
from services.accounts.api.models import Registration
from services.accounts.passwords import Passwords
from services.accounts.store.customers import require_same_keys
from services.accounts.use_cases.create_admin import CreateAdmin
from tallystick.stack.errors import StackError
from tallystick.stack.left_outbox import LeftOutbox
from tallystick.stack.master_key_files import ACCOUNTS_KEYS_HELP, read_master_keys
from tallystick.stack.stack_file import find_stack

_NAME: Final = "tallystick-admin"
_ROLES: Final = frozenset({"admin"})
"""Nothing else: he makes others operators, auditors and so on, and nobody gives himself a role."""

app = typer.Typer(no_args_is_help=True, help="Administrators: create the first one.")


@app.callback()
def _group() -> None:
    """Administrators: create the first one."""


@app.command("create")
def create_command(
    email: Annotated[str, typer.Option(help="By which he logs in; it counts as proved.", show_default=False)],
    name: Annotated[str, typer.Option(help="His full name.")] = "Administrator",
    generate: Annotated[bool, typer.Option("--generate", help="Make up a password and print it, this once.")] = False,
    another: Annotated[bool, typer.Option("--another", help="Although there is an administrator already.")] = False,
    master_keys: Annotated[
        Path | None, typer.Option(envvar="ACCOUNTS_MASTER_KEYS_FILE", help=ACCOUNTS_KEYS_HELP)
    ] = None,
    data: Annotated[Path, typer.Option(help="Folder of the stack.")] = Path(".tallystick"),
    postgres: Annotated[
        str | None, typer.Option(envvar="TALLYSTICK_POSTGRES", help="Admin DSN; else the stack running on the folder.")
    ] = None,
) -> None:
    """Make an administrator. The password is asked for, or read as the one line of standard input.

    Refused while an active administrator exists. The audit log keeps that it was done, as by `tallystick`.
    """
    dsn = postgres or find_stack(data).postgres
    sealer = read_master_keys(master_keys, data, "accounts")
    password = secrets.token_urlsafe(18) if generate else _ask_password()
    wanted = _registration(email, password, name)
    user_id = asyncio.run(_create(dsn, sealer, wanted, another=another))
    typer.echo(f"{user_id} is an administrator; log in, and set up a second factor before anything else")
    if generate:
        typer.echo(f"password: {password}")


def _ask_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _registration(email: str, password: str, name: str) -> Registration:
    """Return what the API would take for a registration. Raises: StackError, which never repeats the password."""
    try:
        return Registration.model_validate({"email": email, "password": password, "full_name": name})
    except ValidationError as failure:
        wrong = "; ".join(f"{one['loc'][0]}: {one['msg']}" for one in failure.errors(include_input=False))
        raise StackError(wrong) from None


async def _create(dsn: str, sealer: Sealer, wanted: Registration, *, another: bool) -> str:
    engine, hot = make_engine(dsn, _NAME, sealer), HotConnection(dsn, _NAME)
    try:
        uow = UnitOfWork(engine, LeftOutbox("accounts", hot, _NAME))
        await _require_keys_of_accounts(uow)
        create = CreateAdmin(uow, Passwords(), system_clock)
        admin = await create(
            email=wanted.email,
            password=wanted.password.get_secret_value(),
            full_name=wanted.full_name,
            roles=_ROLES,
            another=another,
            asker=by_itself("tallystick"),
        )
    except TallystickError as failure:
        hint = " `--another` makes one nevertheless." if failure.code == "admin_exists" else ""
        raise StackError(f"{failure.detail}{hint}") from failure
    except (OSError, asyncpg.PostgresError) as failure:
        raise StackError(f"accounts' database cannot be reached: {failure}") from failure
    except DBAPIError as failure:
        # Its own text would repeat the statement's values.
        raise StackError(f"accounts' database cannot be changed, is it migrated? {failure.orig}") from None
    finally:
        await engine.dispose()
    return admin.user_id


async def _require_keys_of_accounts(uow: UnitOfWork) -> None:
    """Let pass keys that open what is stored: a customer sealed by others would stop the service that reads him."""
    async with uow.begin() as tx:
        try:
            await require_same_keys(tx.connection)
        except InvariantBroken as failure:
            raise StackError(f"these are not the master keys that sealed the customers: {failure}") from failure
