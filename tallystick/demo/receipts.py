"""The proof, first half: every transfer's receipt, checked with nothing but the ledger's public key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from libs.common.clock import from_rfc3339
from libs.common.proof.receipts import ReceiptInvalid, verify_receipt
from tallystick.demo.api import Api
from tallystick.demo.at_once import each
from tallystick.demo.progress import Advance

_RECEIPTS_AT_ONCE: Final = 8
"""As many connections as the ledger keeps for reading."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What an answer told us about a transfer, and what its receipt must therefore say. None: whatever it is."""

    transfer_id: str
    status: str
    source_account_id: str | None
    destination_account_id: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Proven:
    """What a verified receipt says of time: when the transfer was asked for, and when the record was written."""

    transfer_id: str
    requested_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Receipts:
    """Receipts that prove what was claimed, and what is wrong with each of the others."""

    proven: list[Proven]
    faults: list[str]


async def check_receipts(
    api: Api, token: str, claims: Sequence[Claim], *, vkeys_text: str, advance: Advance
) -> Receipts:
    """Fetch every receipt and compare it with the claim; trust only these keys. Raises: DemoFailed."""

    async def check(claim: Claim) -> Proven | str:
        answer = await api.get(f"/transfers/{claim.transfer_id}/receipt", token=token)
        if answer.status != HTTPStatus.OK:
            return f"{answer.asked} answered {answer.status}"
        return check_receipt(claim, answer.body, vkeys_text)

    checked = await each(claims, check, at_once=_RECEIPTS_AT_ONCE, advance=advance)
    return Receipts(
        proven=[one for one in checked if isinstance(one, Proven)],
        faults=[one for one in checked if isinstance(one, str)],
    )


def check_receipt(claim: Claim, receipt: bytes, vkeys_text: str) -> Proven | str:
    """Return what the receipt proves, or in a sentence why it does not prove the claim."""
    try:
        record: Mapping[str, Any] = verify_receipt(receipt, vkeys_text).record
    except ReceiptInvalid as error:
        return f"receipt of {claim.transfer_id}: {error.code}"
    (leg,) = record["legs"]
    claimed = {
        "transfer_id": (record["transfer_id"], claim.transfer_id),
        "status": (record["kind"], f"transfer.{claim.status}"),
        "amount_minor": (leg["amount_minor"], claim.amount_minor),
        "destination": (leg["destination_account_id"], claim.destination_account_id),
        "source": (leg["source_account_id"], claim.source_account_id or leg["source_account_id"]),
    }
    wrong = [f"{name} {proven} instead of {told}" for name, (proven, told) in claimed.items() if proven != told]
    if wrong:
        return f"receipt of {claim.transfer_id} proves {', '.join(wrong)}"
    return Proven(claim.transfer_id, from_rfc3339(record["requested_at"]), from_rfc3339(record["time"]))
