"""tallystick verify-receipt: check a receipt with a file and a public key, without any server."""

import json
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from libs.common.proof.receipts import (
    RECEIPT_BYTES_MAX,
    ReceiptInvalid,
    VerifiedReceipt,
)
from libs.common.proof.receipts import (
    verify_receipt as check_receipt,
)
from libs.common.proof.signed_note import VkeyInvalid

EXIT_VERIFIED: Final = 0
EXIT_INVALID: Final = 1
EXIT_UNREADABLE: Final = 2


def verify_receipt(file: Path, key: Path, *, as_json: bool) -> int:
    """Print what the receipt proves, or why it proves nothing and what to do.

    Returns the exit code: 0 verified, 1 a bad receipt, 2 a file that cannot be opened, or no key in it.
    """
    try:
        receipt, vkeys = _read(file), _read(key).decode("utf-8")
        verified = check_receipt(receipt, vkeys)
    except ReceiptInvalid as error:
        _print_failure(error.code, error.detail, as_json=as_json)
        return EXIT_INVALID
    except VkeyInvalid as error:
        _print_failure("key_file_invalid", f"{key}: {error}. One vkey a line is wanted.", as_json=as_json)
        return EXIT_UNREADABLE
    except (OSError, UnicodeDecodeError) as error:
        _print_failure("file_unreadable", f"{error}. Check both paths.", as_json=as_json)
        return EXIT_UNREADABLE
    _print_verified(verified, as_json=as_json)
    return EXIT_VERIFIED


def verify_receipt_command(
    file: Annotated[Path, typer.Argument(help="The receipt, as the API answered it.", show_default=False)],
    key: Annotated[Path, typer.Option("--key", help="The keys you trust, one vkey a line.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check a receipt offline: record, place in the journal, signature.

    Exit 0: good. 1: not a good receipt. 2: a file is missing, or there is no key in it.
    """
    raise typer.Exit(verify_receipt(file, key, as_json=as_json))


def _read(path: Path) -> bytes:
    """Return the file's bytes, but never more than one beyond the bound: enough to see that it is too large."""
    with path.open("rb") as file:
        return file.read(RECEIPT_BYTES_MAX + 1)


def _print_verified(verified: VerifiedReceipt, *, as_json: bool) -> None:
    if as_json:
        _print_json(
            {
                "verified": True,
                "origin": verified.origin,
                "index": verified.index,
                "size": verified.size,
                "record": verified.record,
            }
        )
        return
    table = Table("field", "value", title="The record, as the issuer's journal holds it")
    for name, value in verified.record.items():
        # JSON text in Text: neither markup nor terminal control codes inside a record take effect.
        table.add_row(Text(json.dumps(name)), Text(json.dumps(value)))
    console = Console()
    console.print(Text("Verified.", style="bold green"))
    console.print(Text(f"Issuer {verified.origin!a}, record {verified.index} of {verified.size} (from 0)."))
    console.print(table)


def _print_failure(code: str, what_to_do: str, *, as_json: bool) -> None:
    if as_json:
        _print_json({"verified": False, "code": code, "what_to_do": what_to_do})
        return
    console = Console()
    console.print(Text(f"Not verified: {code}", style="bold red"))
    console.print(Text(what_to_do))


def _print_json(answer: dict[str, object]) -> None:
    typer.echo(json.dumps(answer))
