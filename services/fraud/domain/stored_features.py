"""What a decision stores of all it rested on."""

import msgspec  # tidy: allow impure-value-code: a shape of values; it reads nothing

from services.fraud.domain.features import Value


class Features(msgspec.Struct, gc=False, omit_defaults=True):
    """Everything a decision rested on, kept with it: what explains it, and what judges new rules on old transfers.

    `rates` are US cents per minor unit, (numerator, denominator); `payees` (user_id, tier, KYC version). The window's
    figures are those before this transfer. `legs` are there if they are several, (payee or "", asset, amount_minor);
    `payer_id` if the payer is not whose limits were used: whoever a withdrawal debits. What has neither pays nothing
    for them. `payer_version` is the version of the payer's row that this decision was written with: by it, and within
    it by the decision's id, his decisions stand in the order they were made in. `batch_id` is there in an atomic batch.
    `values` are the features of the catalogue in its order, for each payee;
    `as_of` is since when their snapshots were known, µs since 1970 UTC. `hits`, `errors` and `muted` are rules,
    `listed` entries of lists that had a say: what they did is `denied`, that one forbade it, `mutes_all`, that one
    allowed all that is overridable, and `snoozed`, whose rules are muted.
    """

    kind: str
    amounts_minor: dict[str, int]
    rates: dict[str, tuple[int, int]]
    payees: list[tuple[str, int, int]]
    payer_tier: int = 0
    payer_kyc_version: int = 0
    profile: str = ""
    limits_version: int = 0
    tier_limits_version: int = 0
    personal_version: int = 0
    payer_version: int = 0
    hour_count: int = 0
    day_count: int = 0
    day_sum_minor: int = 0
    legs: list[tuple[str, str, int]] | msgspec.UnsetType = msgspec.UNSET
    payer_id: str | msgspec.UnsetType = msgspec.UNSET
    batch_id: str | msgspec.UnsetType = msgspec.UNSET
    values: list[list[Value]] = []
    as_of: list[int] = []
    points: int = 0
    hits: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    muted: tuple[str, ...] = ()
    listed: list[str] = []
    denied: bool = False
    mutes_all: bool = False
    snoozed: list[str] = []
