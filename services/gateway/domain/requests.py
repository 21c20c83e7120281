"""What API consumers send: transfers, batches, deposits. Read strictly, every field bounded."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

# tidy: allow impure-value-code: the types that read a request strictly are the domain's own
import msgspec

# tidy: allow impure-value-code: the transfer's value types, shared by all who carry it
from libs.common.contracts.transfers import HOLD_SECONDS_MAX, CanonicalId, Leg
from libs.common.errors import Malformed, Unprocessable
from libs.common.field_errors import body_error_of
from libs.common.money import ASSET_EXPONENTS, MAX_AMOUNT_MINOR

MAX_LEGS: Final = 100
MAX_BATCH: Final = 10_000
MAX_ATOMIC_BATCH: Final = 1000
"""One transaction at the gateway, one message and one lump at the ledger: so many and no more are carried at once."""
HOLD_SECONDS_DEFAULT: Final = 7 * 24 * 3600

# Python's `$` matches before a last newline too. Its `\Z` would end that, but these patterns are published in the
# OpenAPI document, and ECMA-262 knows no `\Z`; the lookahead means the same in both.
_END: Final = r"$(?!\n)"
_NO_CONTROLS: Final = r"^[^\x00-\x1f\x7f]*" + _END
_KEY_PATTERN: Final = r"^[\x21-\x7e]+" + _END

AmountMinor = Annotated[int, msgspec.Meta(ge=1, le=MAX_AMOUNT_MINOR)]
HoldSeconds = Annotated[int, msgspec.Meta(ge=1, le=HOLD_SECONDS_MAX)]
AssetCode = Annotated[str, msgspec.Meta(min_length=3, max_length=12)]
Description = Annotated[str, msgspec.Meta(max_length=140, pattern=_NO_CONTROLS)]
MetadataKey = Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=_NO_CONTROLS)]
MetadataValue = Annotated[str, msgspec.Meta(max_length=200, pattern=_NO_CONTROLS)]
Metadata = Annotated[dict[MetadataKey, MetadataValue], msgspec.Meta(max_length=20)]
Key = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=_KEY_PATTERN)]


class LegIn(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One leg as asked for."""

    source_account_id: CanonicalId
    destination_account_id: CanonicalId
    amount_minor: AmountMinor
    asset: AssetCode


class TransferIn(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True):
    """A transfer: either the four fields of a single leg, or `legs`.

    `hold` asks for a hold that you capture or void, and that ends by itself after `expires_in_seconds`, 7 days unless
    said.
    """

    source_account_id: CanonicalId | None = None
    destination_account_id: CanonicalId | None = None
    amount_minor: AmountMinor | None = None
    asset: AssetCode | None = None
    legs: Annotated[list[LegIn], msgspec.Meta(min_length=1, max_length=MAX_LEGS)] | None = None
    description: Description = ""
    metadata: Metadata | None = None
    # Unset, not False and None: what is not sent is not hashed, so that bodies hash as before these fields were added.
    hold: bool | msgspec.UnsetType = msgspec.UNSET
    expires_in_seconds: HoldSeconds | msgspec.UnsetType = msgspec.UNSET


class BatchItemIn(TransferIn, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True):
    """A transfer of a batch, with its own idempotency key."""

    idempotency_key: Key


class BatchIn(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True):
    """Transfers: up to 1,000 all or none (`atomic`), or up to 10,000 each on its own (`independent`)."""

    mode: Literal["atomic", "independent"]
    transfers: Annotated[list[BatchItemIn], msgspec.Meta(min_length=1, max_length=MAX_BATCH)]


class DepositIn(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True):
    """Money that came in from outside: credited to the account from the asset's reserve."""

    account_id: CanonicalId
    amount_minor: AmountMinor
    asset: AssetCode
    reference: Annotated[str, msgspec.Meta(min_length=1, max_length=140, pattern=_NO_CONTROLS)]


class WithdrawalIn(DepositIn, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True):
    """Money that goes out: debited from the account to the asset's reserve."""


_IS_FLOAT: Final = re.compile(r"Expected `int[^`]*`, got `float`")
_decode_transfer = msgspec.json.Decoder(TransferIn).decode
_decode_batch = msgspec.json.Decoder(BatchIn).decode
_decode_deposit = msgspec.json.Decoder(DepositIn).decode
_decode_withdrawal = msgspec.json.Decoder(WithdrawalIn).decode


def read_transfer(body: bytes) -> TransferIn:
    """Read a transfer. Raises: Malformed, Unprocessable."""
    transfer: TransferIn = _read(_decode_transfer, body)
    return transfer


def read_batch(body: bytes) -> BatchIn:
    """Read a batch.

    Raises: Malformed, Unprocessable (also for one idempotency key twice, for a hold in an atomic batch, and for an
    atomic batch of more than 1,000).
    """
    batch: BatchIn = _read(_decode_batch, body)
    if len({item.idempotency_key for item in batch.transfers}) != len(batch.transfers):
        raise Unprocessable(
            "duplicate_idempotency_key", "Each transfer of a batch needs an idempotency key of its own."
        )
    if batch.mode == "atomic" and len(batch.transfers) > MAX_ATOMIC_BATCH:
        raise Unprocessable(
            "atomic_batch_too_large",
            f"An atomic batch has up to {MAX_ATOMIC_BATCH} transfers; send several, or `independent`.",
        )
    if batch.mode == "atomic" and any(item.hold is True for item in batch.transfers):
        raise Unprocessable("hold_in_atomic_batch", "An atomic batch posts at once or not at all; send a hold alone.")
    return batch


def read_deposit(body: bytes) -> DepositIn:
    """Read a deposit. Raises: Malformed, Unprocessable."""
    deposit: DepositIn = _read(_decode_deposit, body)
    return deposit


def read_withdrawal(body: bytes) -> WithdrawalIn:
    """Read a withdrawal. Raises: Malformed, Unprocessable."""
    withdrawal: WithdrawalIn = _read(_decode_withdrawal, body)
    return withdrawal


def hold_seconds_of(transfer: TransferIn) -> int:
    """Return how long the hold asked for lasts; 0 for a transfer that is to post. Raises: Unprocessable."""
    if transfer.hold is not True:
        if transfer.expires_in_seconds is not msgspec.UNSET:
            raise Unprocessable("expiry_without_hold", "Only a hold expires; send `hold` as true, or no expiry.")
        return 0
    if transfer.expires_in_seconds is msgspec.UNSET:
        return HOLD_SECONDS_DEFAULT
    return transfer.expires_in_seconds


def legs_of(transfer: TransferIn) -> list[Leg]:
    """Return the legs asked for; their destination's owner is not known yet.

    Raises: Unprocessable legs_or_single, asset_unknown, same_account, in that order.
    """
    if transfer.legs is None:
        source, destination, amount_minor, asset = (
            transfer.source_account_id,
            transfer.destination_account_id,
            transfer.amount_minor,
            transfer.asset,
        )
        if source is None or destination is None or amount_minor is None or asset is None:
            raise _legs_or_single()
        legs = [Leg(source, destination, amount_minor, asset, "")]
    else:
        if (transfer.source_account_id, transfer.destination_account_id, transfer.amount_minor, transfer.asset) != (
            None,
            None,
            None,
            None,
        ):
            raise _legs_or_single()
        legs = [
            Leg(leg.source_account_id, leg.destination_account_id, leg.amount_minor, leg.asset, "")
            for leg in transfer.legs
        ]
    for leg in legs:
        check_asset(leg.asset)
        if leg.source_account_id == leg.destination_account_id:
            raise Unprocessable("same_account", "Source and destination must be two different accounts.")
    return legs


def check_asset(asset: str) -> None:
    """Let known assets pass. Raises: Unprocessable asset_unknown."""
    if asset not in ASSET_EXPONENTS:
        raise Unprocessable("asset_unknown", f"Use one of these assets: {', '.join(sorted(ASSET_EXPONENTS))}.")


def memo_of(description: str, metadata: Mapping[str, str] | None) -> dict[str, Any]:
    """Return the free text of a request, empty when there is none."""
    memo: dict[str, Any] = {}
    if description:
        memo["description"] = description
    if metadata:
        memo["metadata"] = dict(metadata)
    return memo


def _legs_or_single() -> Unprocessable:
    return Unprocessable(
        "legs_or_single",
        "Send either source_account_id, destination_account_id, amount_minor and asset, or legs; not both, not less.",
    )


def _read(decode: Any, body: bytes) -> Any:
    try:
        return decode(body)
    except msgspec.ValidationError as failure:
        # To JSON Schema 5.0 is an integer, so that only a code of its own tells what is wrong with it.
        code = "number_not_whole" if _IS_FLOAT.match(str(failure)) else "invalid_request"
        raise Unprocessable(
            code, "Correct the field named in `errors` and send again.", errors=[body_error_of(str(failure))]
        ) from failure
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise Malformed("malformed_json", "The body is not valid JSON in UTF-8.") from failure
