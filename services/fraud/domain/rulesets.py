"""A rule set in force: what its hits amount to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from services.fraud.domain.features import Value
from services.fraud.domain.rule_conditions import Conditions
from services.fraud.domain.rules import NEUTRAL_TYPOLOGIES, Rule, RulesetDocument

RuleVerdict = Literal["approve", "review", "block"]

_REMEMBERED_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the rules say of one transfer. `hits`, `errors` and `muted` are rule ids, in the order of the set.

    `is_neutral` forbids to tell the customer even roughly why: one of the rules that block speaks of money laundering.
    """

    verdict: RuleVerdict
    points: int
    hits: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    muted: tuple[str, ...] = ()
    is_neutral: bool = False


NOTHING_HIT: Final = Outcome("approve", 0)


class Ruleset:
    """A version of the rules, compiled. Nothing about it changes."""

    def __init__(self, version: int, document: RulesetDocument) -> None:
        """Compile the conditions. Raises: ValueError."""
        self.version = version
        self.document = document
        self._conditions = Conditions(document.rules)
        self._bits = {rule.id: 1 << bit for bit, rule in enumerate(document.rules)}
        self._overridable = sum(1 << bit for bit, rule in enumerate(document.rules) if rule.overridable)
        self._remembered: dict[tuple[int, int, int], Outcome] = {}

    @property
    def values_asked(self) -> int:
        """Return how many values of the catalogue a transfer must have for these rules to judge it."""
        return self._conditions.values_asked

    @property
    def overridable(self) -> int:
        """Return the bits of all rules that an entry of the allow list mutes."""
        return self._overridable

    def bits_of(self, rule_ids: Sequence[str]) -> int:
        """Return the bits of those of these rules that can be muted; of others nothing."""
        return sum(self._bits.get(rule_id, 0) for rule_id in set(rule_ids)) & self._overridable

    def muted_by(self, *, mutes_all: bool, snoozed: Sequence[str]) -> int:
        """Return the bits of the rules that entries of lists mute: all that can be muted, or those that are snoozed."""
        return self._overridable if mutes_all else self.bits_of(snoozed)

    def judge(self, each_receiver: Sequence[Sequence[Value]], *, muted: int = 0) -> Outcome:
        """Return what the rules say of a transfer, given its features for each receiver: one hit is enough.

        `muted` are bits of rules whose hits do not count for this transfer; they are named all the same.
        """
        hits = errors = 0
        for values in each_receiver:
            some_hits, some_errors = self._conditions.evaluate(values)
            hits |= some_hits
            errors |= some_errors
        if not hits and not errors:
            return NOTHING_HIT
        key = (hits, errors, muted)
        outcome = self._remembered.get(key)
        if outcome is None:
            if len(self._remembered) >= _REMEMBERED_MAX:
                self._remembered.clear()
            outcome = self._remembered[key] = self._amount_to(hits, errors & ~hits, muted)
        return outcome

    def _amount_to(self, hits: int, errors: int, muted: int) -> Outcome:
        counted = self._among(hits & ~muted)
        failed = self._among(errors & ~muted)
        points = sum(rule.points for rule in counted)
        blocking = [rule for rule in counted if rule.action == "block"]
        blocking += [rule for rule in failed if rule.on_error == "block"]
        verdict: RuleVerdict = "approve"
        if blocking or points >= self.document.block_from:
            verdict = "block"
        elif (
            points >= self.document.review_from
            or any(rule.action == "review" for rule in counted)
            or any(rule.on_error == "review" for rule in failed)
        ):
            verdict = "review"
        return Outcome(
            verdict=verdict,
            points=points,
            hits=tuple(rule.id for rule in counted),
            errors=tuple(rule.id for rule in self._among(errors)),
            muted=tuple(rule.id for rule in self._among((hits | errors) & muted)),
            is_neutral=any(rule.typology in NEUTRAL_TYPOLOGIES for rule in blocking or counted),
        )

    def _among(self, bits: int) -> list[Rule]:
        return [rule for bit, rule in enumerate(self.document.rules) if bits >> bit & 1]
