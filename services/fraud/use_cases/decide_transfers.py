"""The decisions of one unit of work, made one after the other in memory, in the order the requests came."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec

from libs.common.clock import to_rfc3339
from libs.common.contracts.fraud import TransferBatchScreened, TransferScreened
from libs.common.contracts.transfers import Party, TransferCommand
from libs.common.errors import Unprocessable
from libs.common.ids import new_id
from services.fraud.domain.holds import REVIEW
from services.fraud.domain.limits import Breach
from services.fraud.domain.lists import Listed, Lists
from services.fraud.domain.moments import from_us, to_us
from services.fraud.domain.outcome_questions import is_near_limit
from services.fraud.domain.payer import Payer, newest_tier
from services.fraud.domain.policy import Policy
from services.fraud.domain.rulesets import NOTHING_HIT, Outcome
from services.fraud.domain.screening import (
    APPROVED,
    BLOCKED_BY_LIST,
    BLOCKED_WITHOUT_RATE,
    WITHOUT_RULES,
    Ruling,
    screen_transfer,
)
from services.fraud.domain.stored_features import Features
from services.fraud.domain.usd_rates import total_usd_minor
from services.fraud.store.counts import RuleCounts, RuleOutcome
from services.fraud.store.decisions import NewDecision
from services.fraud.store.holds import NewHold
from services.fraud.store.reviews import NewReview
from services.fraud.store.screening_data import ScreeningData
from services.fraud.store.users import Customer
from services.fraud.use_cases.describe_surroundings import Described, Sent, Surroundings

_encode: Final = msgspec.json.Encoder().encode
_NOT_LISTED: Final = Listed()
_NO_FACTS: Final[dict[str, int | str]] = {}


class Judged(msgspec.Struct, frozen=True, gc=False):
    """A ruling with what it rested on. `payer` is None for a deposit or a withdrawal, which use nobody's limits."""

    command: TransferCommand
    ruling: Ruling
    payer: Payer | None
    usd_minor: int | None
    decided_us: int
    features: Features
    sent: Sent | None = None
    described: Described | None = None


@dataclass(slots=True)
class Docket:
    """Decides, and collects what must be written. Payers' windows move at once: undo or forget it if the work fails."""

    policy: Policy
    now: datetime
    payers: Mapping[str, Payer]
    customers: Mapping[str, Customer]
    screening: ScreeningData
    surroundings: Surroundings
    completed: set[str]
    """Transfers whose payee we found for the gateway: their command is kept as it was sent on."""
    just_read: Collection[str] = ()
    """Payers of whom memory knew nothing: their windows are complete from now on, not for a clock that steps back."""
    decisions: list[NewDecision] = field(default_factory=list)
    holds: list[NewHold] = field(default_factory=list)
    reviews: list[NewReview] = field(default_factory=list)
    unused: list[tuple[str, str]] = field(default_factory=list)
    """(transfer_id, user_id) of members of a batch that cannot post: their slots are given back at once."""
    touched: dict[str, Payer] = field(default_factory=dict)
    near_limits: dict[str, int] = field(default_factory=dict)
    """Payer near a limit, or blocked by one that he has used → how many slots of his count."""
    rule_counts: RuleCounts = field(default_factory=RuleCounts)
    lacks_rate: bool = False
    """Whether an asset among these has no rate: who might wait for one was judged as if he had waited."""
    ruleset: int = field(init=False)
    """The version of the rules that decide."""
    _now_us: int = field(init=False)
    _now_text: str = field(init=False)
    _said_rates: dict[tuple[str, ...], dict[str, tuple[int, int]]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Read time and rules once for the whole work."""
        self._now_us = to_us(self.now)
        self._now_text = to_rfc3339(self.now)
        self.ruleset = WITHOUT_RULES if self.screening.live is None else self.screening.live.version

    def decide(self, command: TransferCommand) -> TransferScreened:
        """Decide on one transfer."""
        return self._record(self._judge(command))

    def decide_batch(self, batch_id: str, commands: Sequence[TransferCommand]) -> TransferBatchScreened:
        """Decide on transfers that post together or not at all: unless all are approved, none keeps its slot."""
        before = self.surroundings.mark()
        judged = [self._judge(command, batch_id) for command in commands]
        whole = all(one.ruling is APPROVED for one in judged)
        if not whole:
            self.surroundings.take_back(before)
            for one in judged:
                if one.ruling.verdict == "block":
                    self._count(one)
            for one in judged:
                if one.payer is not None and one.ruling.verdict != "block":
                    one.payer.window.take_back()
                    self.unused.append((one.command.transfer_id, one.payer.user_id))
        screenings = tuple(self._record(one, waits=False) for one in judged)
        return TransferBatchScreened(batch_id=batch_id, screenings=screenings)

    def undo(self) -> None:
        """Take back from memory what all this used: nothing of it was written. Costs what was decided, no more."""
        taken = Counter(one.user_id for one in self.decisions if one.user_id is not None and one.verdict != "block")
        taken.subtract(user_id for _, user_id in self.unused)
        for user_id, payer in self.touched.items():
            payer.undo(taken[user_id])
        self.surroundings.take_back()

    def _judge(self, command: TransferCommand, batch_id: str | msgspec.UnsetType = msgspec.UNSET) -> Judged:
        amounts: dict[str, int] = {}
        for leg in command.legs:
            amounts[leg.asset] = amounts.get(leg.asset, 0) + leg.amount_minor
        usd_minor = total_usd_minor(amounts, self.policy.rates)
        payees = [self._tier_of(party) for party in command.payees]
        features = Features(
            kind=command.kind,
            amounts_minor=amounts,
            rates=self._rates_of(amounts),
            payees=payees,
            batch_id=batch_id,
        )
        if len(command.legs) > 1:
            features.legs = [(leg.destination_owner_id, leg.asset, leg.amount_minor) for leg in command.legs]
        if command.kind == "withdrawal" and command.payer is not None:
            features.payer_id = command.payer.user_id
        if usd_minor is None:
            self.lacks_rate = True
        if command.kind != "transfer":
            # What operators book at the reserve uses nobody's limits; what it is worth is kept all the same.
            listed = ask_lists(self.screening.lists, command, now_us=self._now_us)
            _note_listed(features, listed)
            ruling = BLOCKED_WITHOUT_RATE if usd_minor is None else APPROVED
            if listed.denied_by:
                ruling = BLOCKED_BY_LIST
            return Judged(command, ruling, None, usd_minor, self._now_us, features)
        return self._judge_sent(command, usd_minor, features)

    def _judge_sent(self, command: TransferCommand, usd_minor: int | None, features: Features) -> Judged:
        """Judge a customer's own transfer: his tier, his limits, then those he pays."""
        party = payer_of(command)
        payer = self.payers[party.user_id]
        payer_tier = newest_tier(
            tier=payer.kyc_tier, version=payer.kyc_version, seen_tier=party.kyc_tier, seen_version=party.kyc_version
        )
        limits = self.policy.limits_of(payer.profile, payer_tier, payer.personal)
        decided_us = payer.moment(self._now_us)
        window = payer.window
        window.advance(decided_us)
        features.payer_tier = payer_tier
        features.payer_kyc_version = max(payer.kyc_version, party.kyc_version)
        features.profile = payer.profile
        features.limits_version = limits.version
        features.tier_limits_version, features.personal_version = limits.tier_version, limits.personal_version
        features.payer_version = payer.version + 1
        features.hour_count = window.hour_count
        features.day_count = window.day_count
        features.day_sum_minor = window.day_sum_minor
        listed = ask_lists(self.screening.lists, command, now_us=decided_us)
        sent = Sent(command, payer, payer_tier, features.payees, usd_minor or 0, decided_us)
        described = self.surroundings.describe(sent)
        features.values, features.as_of = described.values, described.as_of
        _note_listed(features, listed)
        ruling = screen_transfer(
            payer_tier=payer_tier,
            payee_tiers=[tier for _, tier, _ in features.payees],
            profile=limits,
            window=window,
            usd_minor=usd_minor,
            now_us=decided_us,
            denied=bool(listed.denied_by),
            rules=self._ask_rules(listed, features),
        )
        self.touched[payer.user_id] = payer
        if is_near_limit(limits, window) or (ruling.breach is not None and ruling.breach.used is not None):
            self.near_limits[payer.user_id] = window.day_count
        judged = Judged(command, ruling, payer, usd_minor, decided_us, features, sent, described)
        self._count(judged)
        return judged

    def _ask_rules(self, listed: Listed, features: Features) -> Outcome:
        """Return what the live rules make of a transfer's features, and note it with them."""
        rules = self.screening.live
        if rules is None:
            return NOTHING_HIT
        muted = 0
        if listed is not _NOT_LISTED:
            muted = rules.muted_by(mutes_all=listed.mutes_all, snoozed=listed.muted_rules)
        outcome = rules.judge(features.values, muted=muted)
        if outcome is not NOTHING_HIT:
            features.points = outcome.points
            features.hits = outcome.hits
            features.errors = outcome.errors
            features.muted = outcome.muted
        return outcome

    def _count(self, judged: Judged) -> None:
        """Let what is decided after this know of it."""
        sent, described = judged.sent, judged.described
        if sent is None or described is None:
            return
        shares_minor = [sent.usd_minor]
        if len(sent.payees) > 1:
            shares_minor = [self._share_minor(judged.command, user_id) for user_id, _, _ in sent.payees]
        decided_at = self.now if sent.decided_us == self._now_us else from_us(sent.decided_us)
        self.surroundings.count(
            sent, described, shares_minor, decided_at=decided_at, blocked=judged.ruling.verdict == "block"
        )

    def _share_minor(self, command: TransferCommand, user_id: str) -> int:
        """Return what one of several receivers gets, in US cents."""
        amounts = Counter[str]()
        for leg in command.legs:
            if leg.destination_owner_id == user_id:
                amounts[leg.asset] += leg.amount_minor
        return total_usd_minor(amounts, self.policy.rates) or 0

    def _rates_of(self, amounts: Collection[str]) -> dict[str, tuple[int, int]]:
        """Return the rates of these assets, of those that have one, as decisions store them; not to be changed."""
        assets = tuple(amounts)
        said = self._said_rates.get(assets)
        if said is None:
            rates = self.policy.rates
            said = {asset: (rates[asset].numerator, rates[asset].denominator) for asset in assets if asset in rates}
            self._said_rates[assets] = said
        return said

    def _tier_of(self, party: Party) -> tuple[str, int, int]:
        known = self.customers.get(party.user_id)
        if known is None or party.kyc_version > known.kyc_version:
            return (party.user_id, party.kyc_tier, party.kyc_version)
        return (party.user_id, known.kyc_tier, known.kyc_version)

    def _record(self, judged: Judged, *, waits: bool = True) -> TransferScreened:
        """Note what is to be written, and return what is to be sent. A hold that cannot post waits for nobody."""
        command, ruling = judged.command, judged.ruling
        on_time = judged.decided_us == self._now_us
        decided_at = self.now if on_time else from_us(judged.decided_us)
        decision_id = new_id()
        features = judged.features
        if features.hits or features.muted or features.errors:
            said: dict[RuleOutcome, tuple[str, ...]] = {
                "hit": features.hits,
                "muted": features.muted,
                "error": features.errors,
            }
            self.rule_counts.add(decided_at, ruling.verdict, said, judged.usd_minor or 0)
        facts = _NO_FACTS if ruling.verdict != "block" else _facts_of_block(judged)
        held = ruling.verdict == "hold"
        self.decisions.append(
            NewDecision(
                transfer_id=command.transfer_id,
                decision_id=decision_id,
                user_id=None if judged.payer is None else judged.payer.user_id,
                verdict=ruling.verdict,
                code=ruling.code,
                reasons=",".join(ruling.reasons),
                usd_minor=judged.usd_minor or 0,
                features=_encode(judged.features),
                facts=_encode(facts) if facts else None,
                decided_at=decided_at,
                command=_encode(command) if held or command.transfer_id in self.completed else None,
            )
        )
        if held and waits:
            payees = [user_id for user_id, _, _ in judged.features.payees]
            self.holds.append(NewHold(command.transfer_id, payees, ruling.reasons, decided_at))
            if REVIEW in ruling.reasons and judged.payer is not None:
                payer_id = judged.payer.user_id
                parties = [payer_id, *payees, command.actor_id]
                self.reviews.append(
                    NewReview(command.transfer_id, payer_id, parties, judged.usd_minor or 0, decided_at)
                )
        return TransferScreened(
            decision_id=decision_id,
            verdict=ruling.verdict,
            code=ruling.code,
            reasons=ruling.reasons,
            ruleset=self.ruleset,
            facts=facts,
            screened_at=self._now_text if on_time else to_rfc3339(decided_at),
            command=command,
        )


def ask_lists(lists: Lists, command: TransferCommand, *, now_us: int) -> Listed:
    """Return what the lists say of a transfer. Whoever operates the reserve is nobody's sender."""
    if not lists:
        return _NOT_LISTED
    return lists.look_up(
        "" if command.payer is None else command.payer.user_id,
        [party.user_id for party in command.payees],
        address_key=command.address_key,
        device_key=command.device_key,
        now_us=now_us,
    )


def _note_listed(features: Features, listed: Listed) -> None:
    if listed is not _NOT_LISTED:
        features.listed = listed.entry_ids
        features.denied = bool(listed.denied_by)
        features.mutes_all = listed.mutes_all
        features.snoozed = listed.muted_rules


def payer_of(command: TransferCommand) -> Party:
    """Return who sends a customer's transfer. Raises: Unprocessable `payer_missing`."""
    if command.payer is None:
        raise Unprocessable("payer_missing", "A customer's transfer names its payer.")
    return command.payer


def _facts_of_block(judged: Judged) -> dict[str, int | str]:
    if judged.ruling.breach is not None:
        return facts_of(judged.ruling.breach)
    if judged.ruling is BLOCKED_WITHOUT_RATE:
        return {"asset": next(asset for asset in judged.features.amounts_minor if asset not in judged.features.rates)}
    return _NO_FACTS


def facts_of(breach: Breach) -> dict[str, int | str]:
    """Return the public numbers of a block: amounts in US cents, the time RFC 3339 UTC."""
    facts: dict[str, int | str] = {"limit": breach.limit, f"limit_{breach.unit}": breach.allowed}
    if breach.used is not None:
        facts[f"used_{breach.unit}"] = breach.used
    facts["requested_minor"] = breach.requested_minor
    facts["asset"] = "USD"
    facts["set_by"] = breach.set_by
    if breach.resets_at_us is not None:
        facts["resets_at"] = to_rfc3339(from_us(breach.resets_at_us))
    return facts
