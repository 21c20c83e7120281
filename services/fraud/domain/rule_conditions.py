"""The conditions of a rule set, made ready: one call a transfer answers all of them."""

from collections.abc import Sequence
from typing import Final

from services.fraud.domain.condition_code import compile_conditions
from services.fraud.domain.features import PLACES, Value
from services.fraud.domain.interpreter import cel
from services.fraud.domain.rules import Rule

_FAILURES: Final = (ArithmeticError, LookupError, TypeError, ValueError, RuntimeError)
"""What a condition that cannot be computed raises; LookupError is `[1, 2][legs]` where there is no such element."""


class Conditions:
    """Evaluates all rules of a set. Hits and errors are integers: bit n speaks of the set's rule n.

    Most are Python code by now. What that does not cover is one expression for the interpreter, that adds up bits:
    each call into it costs as much as a dozen comparisons in it. Where anything fails, by an overflow say, the
    interpreter is asked one by one to see whose fault it is.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Compile. Raises: ValueError for what the interpreter cannot read, or names what is no feature."""
        self._each = [cel.compile(rule.when) for rule in rules]
        self._code, others = compile_conditions([rule.when for rule in rules])
        self._others = cel.compile(" + ".join(f"(({rules[bit].when}\n) ? {1 << bit} : 0)" for bit in others) or "0")
        self._asks_interpreter = bool(others)
        self.names = sorted({name for program in self._each for name in program.variables()})
        """The features they ask for."""
        strange = [name for name in self.names if name not in PLACES]
        if strange:
            message = f"`{strange[0][:60]}` is no feature"
            raise ValueError(message)
        self._asked = [(name, PLACES[name]) for name in self.names]

    @property
    def values_asked(self) -> int:
        """Return how many values of the catalogue, from its beginning, have all that is asked for."""
        return 1 + max((place for _, place in self._asked), default=-1)

    def evaluate(self, values: Sequence[Value]) -> tuple[int, int]:
        """Return the hits and the errors for these features, in the order of the catalogue."""
        try:
            hits = self._code(values)
            if self._asks_interpreter:
                hits |= self._others.execute(self._context(values))
        except _FAILURES:
            return self._one_by_one(self._context(values))
        return hits, 0

    def _context(self, values: Sequence[Value]) -> cel.Context:
        return cel.Context(variables={name: values[place] for name, place in self._asked})

    def _one_by_one(self, context: cel.Context) -> tuple[int, int]:
        hits = errors = 0
        for bit, program in enumerate(self._each):
            try:
                hits |= bool(program.execute(context)) << bit
            except _FAILURES:
                errors |= 1 << bit
        return hits, errors
