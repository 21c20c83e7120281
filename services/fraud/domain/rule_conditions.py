"""The conditions of a rule set, made ready: one evaluation a transfer answers all of them."""

from collections.abc import Sequence
from typing import Final

import cel  # tidy: allow impure-value-code: an interpreter of pure expressions; it reads nothing but what it is given

from services.fraud.domain.features import PLACES, Value
from services.fraud.domain.rules import Rule

_FAILURES: Final = (ArithmeticError, TypeError, ValueError, RuntimeError)


class Conditions:
    """Evaluates all rules of a set. Hits and errors are integers: bit n speaks of the set's rule n.

    All conditions are one expression that adds up bits, because each call into the interpreter costs as much as a
    dozen comparisons in it. Where that fails, by an overflow say, they are asked one by one to see whose fault it is.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Compile. Raises: ValueError for what is no CEL; whoever publishes has checked types by then."""
        self._each = [cel.compile(rule.when) for rule in rules]
        self._together = cel.compile(
            " + ".join(f"(({rule.when}\n) ? {1 << bit} : 0)" for bit, rule in enumerate(rules))
        )
        self.names = sorted({name for program in self._each for name in program.variables()})
        """The features they ask for."""
        self._asked = [(name, PLACES[name]) for name in self.names]

    @property
    def values_asked(self) -> int:
        """Return how many values of the catalogue, from its beginning, have all that is asked for."""
        return 1 + max((place for _, place in self._asked), default=-1)

    def evaluate(self, values: Sequence[Value]) -> tuple[int, int]:
        """Return the hits and the errors for these features, in the order of the catalogue."""
        context = cel.Context(variables={name: values[place] for name, place in self._asked})
        try:
            hits: int = self._together.execute(context)
        except _FAILURES:
            return self._one_by_one(context)
        return hits, 0

    def _one_by_one(self, context: cel.Context) -> tuple[int, int]:
        hits = errors = 0
        for bit, program in enumerate(self._each):
            try:
                hits |= bool(program.execute(context)) << bit
            except _FAILURES:
                errors |= 1 << bit
        return hits, errors
