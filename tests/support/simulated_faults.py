"""What goes wrong in a simulation, and when: everything is drawn from one seed."""

import random
from dataclasses import asdict, dataclass

from tests.support.failing_database import BEGINS_STATEMENT, Fate


@dataclass(frozen=True, slots=True)
class Rates:
    """How often each thing goes wrong, as a share of the times it could."""

    statement_not_sent: float = 0.0
    """The connection is cut before PostgreSQL has the statement."""
    answer_lost: float = 0.0
    """PostgreSQL has done the statement, the commit among them, and the connection is cut before it says so."""
    publish_refused: float = 0.0
    """The broker does not take what is sent."""
    acknowledgement_lost: float = 0.0
    """The broker has taken it and does not say so: it is sent again."""
    repeated_late: float = 0.0
    """A record is there once more, after younger ones."""
    read_again: float = 0.0
    """A consumer begins again where it had last told the broker how far it was."""
    slow: float = 0.0
    """What is sent takes its time, and others overtake it."""

    def __str__(self) -> str:
        """Name what may go wrong, and how often."""
        shares = {name: share for name, share in asdict(self).items() if share}
        return ", ".join(f"{name.replace('_', ' ')} {share:g}" for name, share in shares.items()) or "no faults"


CALM = Rates()


class Faults:
    """The dice of a simulation. `rates` may be changed at any time; `CALM` lets everything work."""

    def __init__(self) -> None:
        """Begin calm; seed `rng` before each storm."""
        self.rng = random.Random()
        self.rates = CALM

    def happens(self, share: float) -> bool:
        """Roll for something that goes wrong so often."""
        return share > 0 and self.rng.random() < share

    def storm(self) -> Rates:
        """Draw how bad it will be: some kinds of trouble rarely come together, and each alone finds other faults."""
        draw = self.rng.choice((0.0, 0.005, 0.02, 0.08))
        return Rates(
            statement_not_sent=self.rng.choice((0.0, 0.002, 0.01)),
            answer_lost=self.rng.choice((0.0, 0.002, 0.01)),
            publish_refused=draw,
            acknowledgement_lost=self.rng.choice((0.0, 0.01, 0.05)),
            repeated_late=self.rng.choice((0.0, 0.02, 0.2)),
            read_again=self.rng.choice((0.0, 0.02, 0.1)),
            slow=self.rng.choice((0.0, 0.1, 0.5)),
        )


class DrawnFates:
    """Lets statements fail as often as the rates say: what a `FailingDatabase` asks."""

    def __init__(self, faults: Faults) -> None:
        """Roll these dice."""
        self._faults = faults

    def of(self, message: bytes) -> Fate:
        """Decide about one message."""
        if message[0] not in BEGINS_STATEMENT:
            return Fate.PASSES
        if self._faults.happens(self._faults.rates.statement_not_sent):
            return Fate.NOT_SENT
        return Fate.ANSWER_LOST if self._faults.happens(self._faults.rates.answer_lost) else Fate.PASSES
