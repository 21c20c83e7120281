"""Transfers and accounts for the ledger's tests: builders show only the fields that matter."""

from collections.abc import Sequence
from uuid import NAMESPACE_OID, uuid5

from libs.common.contracts.fraud import (
    HoldReason,
    HoldResolved,
    Resolution,
    TransferBatchScreened,
    TransferScreened,
    Verdict,
)
from libs.common.contracts.gateway import (
    CaptureTransfer,
    ChangeAccount,
    FeeRule,
    FeeTier,
    PublishFeeSchedule,
    ReverseTransfer,
    VoidTransfer,
)
from libs.common.contracts.transfers import Leg, Party, TransferCommand, TransferKind
from libs.common.ids import system_account_id
from libs.common.money import MAX_AMOUNT_MINOR
from services.ledger.domain.account import Account, AccountStatus

NOW = "2026-03-01T09:30:00.000000Z"
RESERVE = system_account_id("USD", "SYS-RESERVE-0001")


def id_of(name: str) -> str:
    """Return the id that this name always has."""
    return str(uuid5(NAMESPACE_OID, name))


def account(
    name: str,
    posted_minor: int = 0,
    *,
    owner: str | None = None,
    asset: str = "USD",
    status: AccountStatus = "active",
    pending_in_minor: int = 0,
    pending_out_minor: int = 0,
    minimum_minor: int = 0,
    maximum_minor: int = MAX_AMOUNT_MINOR,
) -> Account:
    """Return a customer's account; its owner has its name unless another is given. `owner=""`: the house's."""
    return Account(
        account_id=id_of(name),
        owner_id=id_of(f"owner of {name}") if owner is None else owner,
        asset=asset,
        status=status,
        posted_minor=posted_minor,
        pending_in_minor=pending_in_minor,
        pending_out_minor=pending_out_minor,
        minimum_minor=minimum_minor,
        last_seq=0,
        version=1,
        maximum_minor=maximum_minor,
    )


def leg(source: str, destination: str, amount_minor: int, *, asset: str = "USD", owner: str | None = None) -> Leg:
    """Return a leg between two named accounts, screened for the destination's own owner unless another is given."""
    destination_owner = id_of(f"owner of {destination}") if owner is None else owner
    return Leg(id_of(source), id_of(destination), amount_minor, asset, destination_owner)


def command(
    name: str, legs: Sequence[Leg], *, payer: str = "alice", kind: TransferKind = "transfer", hold_seconds: int = 0
) -> TransferCommand:
    """Return a transfer asked for by the owner of the account `payer`."""
    payer_id = id_of(f"owner of {payer}")
    return TransferCommand(
        transfer_id=id_of(name),
        kind=kind,
        actor_id=payer_id,
        payer=None if kind == "deposit" else Party(payer_id, 1, 1),
        payees=() if kind == "withdrawal" else tuple(Party(part.destination_owner_id, 1, 1) for part in legs),
        legs=tuple(legs),
        memo_commitment="",
        requested_at=NOW,
        hold_seconds=hold_seconds,
    )


def screened(
    name: str,
    *legs: Leg,
    verdict: Verdict = "approve",
    code: str = "",
    reasons: tuple[HoldReason, ...] = (),
    payer: str = "alice",
    kind: TransferKind = "transfer",
    facts: dict[str, int | str] | None = None,
    hold_seconds: int = 0,
) -> TransferScreened:
    """Return fraud's verdict on a transfer; approved unless said otherwise."""
    return TransferScreened(
        decision_id=id_of(f"decision on {name}"),
        verdict=verdict,
        code=code,
        reasons=reasons,
        ruleset=1,
        facts=facts or {},
        screened_at=NOW,
        command=command(name, legs, payer=payer, kind=kind, hold_seconds=hold_seconds),
    )


def held(
    name: str, *legs: Leg, reasons: tuple[HoldReason, ...] = ("kyc_pending",), payer: str = "alice"
) -> TransferScreened:
    """Return a verdict that holds."""
    return screened(name, *legs, verdict="hold", reasons=reasons, payer=payer)


def blocked(name: str, *legs: Leg, code: str = "amount_limit_exceeded") -> TransferScreened:
    """Return a verdict that blocks."""
    return screened(name, *legs, verdict="block", code=code, facts={"limit_minor": 1})


def batch(name: str, *members: TransferScreened) -> TransferBatchScreened:
    """Return an atomic batch."""
    return TransferBatchScreened(batch_id=id_of(name), screenings=members)


def resolved(
    name: str,
    *legs: Leg,
    resolution: Resolution = "release",
    reason: HoldReason = "kyc_pending",
    remaining: tuple[HoldReason, ...] = (),
    code: str = "",
    payer: str = "alice",
    hold_seconds: int = 0,
) -> HoldResolved:
    """Return the resolution of one reason of a hold; a release that leaves none unless said otherwise."""
    return HoldResolved(
        resolution_id=id_of(f"{resolution} of {reason} of {name}"),
        decision_id=id_of(f"decision on {name}"),
        resolution=resolution,
        reason=reason,
        remaining=remaining,
        code=code,
        ruleset=1,
        resolved_at=NOW,
        command=command(name, legs, payer=payer, hold_seconds=hold_seconds),
    )


def deposit(name: str, destination: str, amount_minor: int) -> TransferScreened:
    """Return an approved deposit from the dollar reserve."""
    part = Leg(RESERVE, id_of(destination), amount_minor, "USD", id_of(f"owner of {destination}"))
    return screened(name, part, kind="deposit", payer="operator")


def withdrawal(name: str, source: str, amount_minor: int) -> TransferScreened:
    """Return an approved withdrawal to the dollar reserve by the owner's operator."""
    part = Leg(id_of(source), RESERVE, amount_minor, "USD", "")
    return screened(name, part, kind="withdrawal", payer=source)


def capture(name: str, *amounts_minor: int, as_: str = "capture", final: bool = False) -> CaptureTransfer:
    """Return the capture of these amounts by leg, or of all that is left."""
    return CaptureTransfer(
        command_id=id_of(f"{as_} of {name}"),
        transfer_id=id_of(name),
        actor_id=id_of("owner of alice"),
        amounts_minor=amounts_minor,
        is_final=final,
        requested_at=NOW,
    )


def void(name: str, *, as_: str = "void") -> VoidTransfer:
    """Return the void of a hold."""
    return VoidTransfer(
        command_id=id_of(f"{as_} of {name}"),
        transfer_id=id_of(name),
        actor_id=id_of("owner of alice"),
        requested_at=NOW,
    )


def reverse(name: str, *amounts_minor: int, as_: str = "reversal", with_fees: bool = False) -> ReverseTransfer:
    """Return the reversal of these amounts by leg, or of all that is left."""
    return ReverseTransfer(
        command_id=id_of(f"{as_} of {name}"),
        transfer_id=id_of(name),
        actor_id=id_of("operator"),
        amounts_minor=amounts_minor,
        with_fees=with_fees,
        reason_commitment="",
        requested_at=NOW,
    )


def change(
    name: str,
    status: AccountStatus | None = None,
    *,
    minimum_minor: int | None = None,
    maximum_minor: int | None = None,
    only_while: AccountStatus | None = None,
    as_: str = "change",
) -> ChangeAccount:
    """Return a change of what an account may do."""
    return ChangeAccount(
        command_id=id_of(f"{as_} of {name}"),
        account_id=id_of(name),
        actor_id=id_of("operator"),
        status=status,
        minimum_minor=minimum_minor,
        maximum_minor=maximum_minor,
        reason_commitment="",
        requested_at=NOW,
        only_while=only_while,
    )


def fees(*, rate_per_million: int = 0, flat_minor: int = 0, as_: str = "1") -> PublishFeeSchedule:
    """Return a schedule with one rule for transfers of dollars, credited to the fees account."""
    rule = FeeRule(
        rule_id="transfers",
        asset="USD",
        kind="transfer",
        credit="fees",
        tiers=(FeeTier(0, flat_minor, rate_per_million),),
        minimum_minor=0,
        maximum_minor=MAX_AMOUNT_MINOR,
        rounding="down",
    )
    return PublishFeeSchedule(
        command_id=id_of(f"fees {as_}"),
        actor_id=id_of("operator"),
        rules=(rule,),
        exempt_account_ids=(),
        requested_at=NOW,
    )
