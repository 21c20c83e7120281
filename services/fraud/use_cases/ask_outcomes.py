"""Ask what became of slots: one that moved nothing, and of which nobody was told, comes back to who needs it."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from libs.common.clock import Clock, to_rfc3339
from libs.common.contracts.fraud import OutcomeAsked
from libs.common.contracts.topics import OUTCOME_QUESTIONS
from services.fraud.domain.outcome_questions import ASKED_TIMES_MAX, is_due
from services.fraud.metrics import OUTCOMES_ASKED
from services.fraud.store.outcome_questions import KEPT_FOR, OpenSlot, find_open_slots, forget_questions, note_asked
from services.fraud.store.unit_of_work import UnitOfWork

ASK_SECONDS: Final = 10.0
QUESTIONS_MAX: Final = 200
"""At each call: twenty a second, where a ledger posts thousands."""
SLOTS_LOOKED_AT_MAX: Final = 20_000
_PAYERS_MAX: Final = 10_000
_FORGOTTEN_MAX: Final = 1_000


class PayersNearLimits:
    """Whose slots are worth a question: payers who lately came near a limit, or met it. The longest noted come first.

    A restart forgets them. Who still needs his slots sends again, and is noted again.
    """

    def __init__(self, *, payers_max: int = _PAYERS_MAX) -> None:
        """Start with none."""
        self._slots: OrderedDict[str, int] = OrderedDict()
        self._payers_max = payers_max

    def __len__(self) -> int:
        """Return how many are noted."""
        return len(self._slots)

    def note(self, payers: Mapping[str, int]) -> None:
        """Note payers, and how many slots of each count. Beyond the bound the longest noted are dropped."""
        self._slots.update(payers)
        while len(self._slots) > self._payers_max:
            self._slots.popitem(last=False)

    def take(self, *, slots_max: int) -> dict[str, int]:
        """Take out who has waited longest, as many as have so many slots together, one at least."""
        taken: dict[str, int] = {}
        while self._slots and (not taken or sum(taken.values()) + next(iter(self._slots.values())) <= slots_max):
            user_id, slots = self._slots.popitem(last=False)
            taken[user_id] = slots
        return taken


class AskOutcomes:
    """Asks a bounded page at every call. The answer is the transfer's state, which whoever settles limits hears.

    Idempotent by: how often each slot was asked about. Locks: the questions. Emits: OutcomeAsked. Raises: Unavailable.
    """

    def __init__(self, work: UnitOfWork, near: PayersNearLimits, *, clock: Clock) -> None:
        """Use a connection that nobody decides on; `near` is filled by whoever decides."""
        self._work = work
        self._near = near
        self._clock = clock

    async def __call__(self) -> None:
        """Ask about open slots of the next payers, each as often and as late as `domain/outcome_questions.py` says."""
        now = self._clock()
        payers = self._near.take(slots_max=SLOTS_LOOKED_AT_MAX)
        due: list[OpenSlot] = []
        waiting: dict[str, int] = {}
        asked: list[str] = []
        try:
            async with self._work.open() as transaction:
                for user_id, slots in payers.items():
                    found = await find_open_slots(
                        transaction.connection, user_id, now, times_max=ASKED_TIMES_MAX, limit=QUESTIONS_MAX
                    )
                    due += [one for one in found if is_due(one.taken_at, one.times, one.asked_at, now)]
                    if found:
                        waiting[user_id] = slots
                if due:
                    asked = await note_asked(transaction.connection, due[:QUESTIONS_MAX], now)
                for transfer_id in asked:
                    question = OutcomeAsked(transfer_id=transfer_id, asked_at=to_rfc3339(now))
                    transaction.emit(OUTCOME_QUESTIONS, transfer_id, question)
                await forget_questions(transaction.connection, asked_before=now - KEPT_FOR, limit=_FORGOTTEN_MAX)
        except BaseException:
            self._near.note(payers)
            raise
        self._near.note(waiting)
        OUTCOMES_ASKED.inc(len(asked))
