"""Turn what somebody asked for into a draft: ownership checked, parties filled in, free text committed to."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from libs.common.contracts.transfers import Leg, Party, TransferCommand, TransferKind
from libs.common.errors import Forbidden, NotFound, Unprocessable
from libs.common.http.auth import Principal
from libs.common.http.policy import may_debit, require_not_self
from libs.common.ids import system_account_id
from libs.common.origins import NOWHERE, Origin
from services.gateway.domain.requests import DepositIn, WithdrawalIn, check_asset
from services.gateway.store.directory import KnownAccount
from services.gateway.use_cases.look_up_parties import Directory

_encode_memo = msgspec.json.Encoder(order="deterministic").encode
_SALT_BYTES = 16
RESERVE = "SYS-RESERVE-0001"


@dataclass(slots=True)
class Draft:
    """A command without its id and time, which it gets when it is stored."""

    kind: TransferKind
    actor_id: str
    payer: Party | None
    payees: tuple[Party, ...]
    legs: tuple[Leg, ...]
    memo: bytes | None
    memo_salt: bytes | None
    memo_commitment: str
    hold_seconds: int = 0
    origin: Origin = NOWHERE

    def command(self, transfer_id: str, requested_at: str) -> TransferCommand:
        """Return the command under this id; `requested_at` is RFC 3339 UTC."""
        return TransferCommand(
            transfer_id=transfer_id,
            kind=self.kind,
            actor_id=self.actor_id,
            payer=self.payer,
            payees=self.payees,
            legs=self.legs,
            memo_commitment=self.memo_commitment,
            requested_at=requested_at,
            hold_seconds=self.hold_seconds,
            address_key=self.origin.address_key,
            device_key=self.origin.device_key,
        )


async def prepare_transfer(
    principal: Principal,
    legs: Sequence[Leg],
    memo: Mapping[str, object],
    directory: Directory,
    *,
    hold_seconds: int = 0,
) -> Draft:
    """Draft a customer's transfer; with `hold_seconds` above 0 a hold that ends by itself after so long.

    Raises: Forbidden source_account_not_yours (also when it does not exist: a stranger learns nothing), Unprocessable
    asset_mismatch, Unavailable; in that order.
    """
    account_ids = [account_id for leg in legs for account_id in (leg.source_account_id, leg.destination_account_id)]
    if not directory.has(account_ids, principal.user_id):
        await directory.fetch(account_ids, principal.user_id)
    known_legs: list[Leg] = []
    payees: dict[str, Party] = {}
    for leg in legs:
        source = directory.accounts.get(leg.source_account_id)
        if not may_debit(principal.user_id, None if source is None else source.owner_id):
            raise Forbidden("source_account_not_yours", "The source account is not one of yours.")
        destination = directory.accounts.get(leg.destination_account_id)
        if source is not None and source.asset != leg.asset:
            raise _asset_mismatch(source.asset)
        if destination is None:
            # Nobody we know: the ledger refuses it, and the refusal is part of the proof.
            known_legs.append(leg)
            continue
        if destination.asset != leg.asset:
            raise _asset_mismatch(leg.asset)
        owner = destination.owner_id
        if owner not in payees:
            payees[owner] = directory.party(owner)
        known_legs.append(Leg(leg.source_account_id, leg.destination_account_id, leg.amount_minor, leg.asset, owner))
    return Draft(
        "transfer",
        principal.user_id,
        directory.party(principal.user_id),
        tuple(payees.values()),
        tuple(known_legs),
        *commit_to(memo),
        hold_seconds,
    )


async def prepare_deposit(principal: Principal, deposit: DepositIn, directory: Directory) -> Draft:
    """Draft an operator's deposit from the asset's reserve. Raises: as `_customer_account`."""
    account = await _customer_account(principal, deposit, directory)
    leg = Leg(
        system_account_id(deposit.asset, RESERVE),
        deposit.account_id,
        deposit.amount_minor,
        deposit.asset,
        account.owner_id,
    )
    return Draft(
        "deposit",
        principal.user_id,
        None,
        (directory.party(account.owner_id),),
        (leg,),
        *commit_to({"reference": deposit.reference}),
    )


async def prepare_withdrawal(principal: Principal, withdrawal: WithdrawalIn, directory: Directory) -> Draft:
    """Draft an operator's withdrawal to the asset's reserve, in the owner's name. Raises: as `_customer_account`."""
    account = await _customer_account(principal, withdrawal, directory)
    leg = Leg(
        withdrawal.account_id,
        system_account_id(withdrawal.asset, RESERVE),
        withdrawal.amount_minor,
        withdrawal.asset,
        "",
    )
    return Draft(
        "withdrawal",
        principal.user_id,
        directory.party(account.owner_id),
        (),
        (leg,),
        *commit_to({"reference": withdrawal.reference}),
    )


async def _customer_account(principal: Principal, asked: DepositIn, directory: Directory) -> KnownAccount:
    """Return the account that an operator credits or debits.

    Raises: Unprocessable asset_unknown, NotFound account_not_found, Unprocessable
    asset_mismatch, Forbidden own_account, Unavailable; in that order.
    """
    check_asset(asked.asset)
    await directory.fetch([asked.account_id], principal.user_id)
    account = directory.accounts.get(asked.account_id)
    if account is None:
        raise NotFound("account_not_found", "There is no such account.")
    if account.asset != asked.asset:
        raise _asset_mismatch(account.asset)
    require_not_self(
        principal, account.owner_id, "own_account", "Nobody credits or debits his own account; ask a colleague."
    )
    return account


def commit_to(memo: Mapping[str, object]) -> tuple[bytes | None, bytes | None, str]:
    """Return (memo as JSON, salt, hex SHA-256 over salt and memo): the record shows the last, and tells nothing."""
    if not memo:
        return None, None, ""
    text = _encode_memo(memo)
    salt = secrets.token_bytes(_SALT_BYTES)
    return text, salt, sha256(salt + text).hexdigest()


def _asset_mismatch(asset: str) -> Unprocessable:
    return Unprocessable("asset_mismatch", f"Both accounts of a leg must hold its asset; one of them holds {asset}.")
