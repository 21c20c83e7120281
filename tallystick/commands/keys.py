"""`tallystick keys`: change the key that signs access tokens, and the master keys that seal personal data."""

import asyncio
from pathlib import Path
from typing import Annotated

import asyncpg
import typer

from libs.common.errors import InvariantBroken
from libs.common.personal.sealing import Sealer
from tallystick.stack.errors import StackError
from tallystick.stack.master_key_files import ACCOUNTS_KEYS_HELP, KYC_KEYS_HELP, read_master_keys
from tallystick.stack.rewrapping import PERSONAL, Wrapped, rewrap
from tallystick.stack.stack_file import find_stack
from tallystick.stack.stack_secrets import KeyFiles, load_or_make_keys
from tallystick.stack.token_keys import retire_token_keys, rotate_token_key

app = typer.Typer(no_args_is_help=True, help="Change the key that signs access tokens, or the master keys.")

_Data = Annotated[Path, typer.Option(help="Folder of the stack.")]


@app.command()
def rotate(data: _Data = Path(".tallystick")) -> None:
    """Sign with a new key from now on. The one before goes on verifying until it is retired."""
    key_id = rotate_token_key(_key_files(data))
    typer.echo(f"{key_id} signs now; in 15 minutes the last token of the key before has run out: `keys retire`")


@app.command()
def retire(data: _Data = Path(".tallystick")) -> None:
    """Believe no key but the one that signs. At once after a key has leaked: who holds its tokens refreshes them."""
    typer.echo(f"{retire_token_keys(_key_files(data))} key(s) retired; within two seconds nobody believes them")


@app.command("rewrap")
def rewrap_command(
    master_keys: Annotated[
        Path | None, typer.Option(envvar="ACCOUNTS_MASTER_KEYS_FILE", help=ACCOUNTS_KEYS_HELP)
    ] = None,
    kyc_master_keys: Annotated[Path | None, typer.Option(envvar="KYC_MASTER_KEYS_FILE", help=KYC_KEYS_HELP)] = None,
    data: _Data = Path(".tallystick"),
    postgres: Annotated[
        str | None, typer.Option(envvar="TALLYSTICK_POSTGRES", help="Admin DSN; else the stack running on the folder.")
    ] = None,
) -> None:
    """Wrap every customer's key by the newest master key, the first line of each file, so that older ones may go.

    Restart accounts and kyc with that line first, so that they wrap by it, too. Nothing stops meanwhile, and a run that
    was broken off goes on when it is begun again.
    """
    dsn = postgres or find_stack(data).postgres
    sealers = {
        "accounts": read_master_keys(master_keys, data, "accounts"),
        "kyc": read_master_keys(kyc_master_keys, data, "kyc"),
    }
    for service, tables in PERSONAL.items():
        for wrapped in tables:
            _rewrap(dsn, sealers[service], wrapped)
    typer.echo("Older keys may go from the files, but for the last line of accounts', by which e-mails are found.")


def _rewrap(dsn: str, sealer: Sealer, wrapped: Wrapped) -> None:
    try:
        renewed, left = asyncio.run(rewrap(dsn, sealer, wrapped))
    except (OSError, asyncpg.PostgresError, InvariantBroken) as error:
        raise StackError(f"{wrapped.table} could not be wrapped anew to its end: {error}") from error
    typer.echo(f"{wrapped.table}: {renewed} wrapped anew")
    if left:
        raise StackError(
            f"an older key has wrapped {left} row(s) of {wrapped.table} meanwhile; restart what does not know the"
            " newest, and begin again"
        )


def _key_files(data: Path) -> KeyFiles:
    folder = data / "keys"
    if not folder.is_dir():
        raise StackError(f"{folder} is not there; name the stack's folder with --data")
    return load_or_make_keys(folder)
