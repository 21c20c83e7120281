"""`tallystick keys`: change the key that signs access tokens."""

from pathlib import Path
from typing import Annotated

import typer

from tallystick.stack.errors import StackError
from tallystick.stack.stack_secrets import KeyFiles, load_or_make_keys
from tallystick.stack.token_keys import retire_token_keys, rotate_token_key

app = typer.Typer(no_args_is_help=True, help="Change the key that signs access tokens; nothing has to be restarted.")

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


def _key_files(data: Path) -> KeyFiles:
    folder = data / "keys"
    if not folder.is_dir():
        raise StackError(f"{folder} is not there; name the stack's folder with --data")
    return load_or_make_keys(folder)
