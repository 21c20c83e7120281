"""The stored decision, sent again exactly as it was: whoever asks twice never gets a second opinion."""

from collections.abc import Mapping
from typing import Final

import msgspec

from libs.common.clock import to_rfc3339
from libs.common.contracts.fraud import TransferBatchScreened, TransferScreened
from libs.common.contracts.transfers import TransferCommand
from libs.common.errors import Conflict
from services.fraud.store.decisions import StoredDecision
from services.fraud.use_cases.find_payees import Asked

_read_command: Final = msgspec.json.Decoder(TransferCommand).decode
_read_facts: Final = msgspec.json.Decoder(dict[str, int | str]).decode


def stored_answer(
    asked: Asked, stored: Mapping[str, StoredDecision]
) -> TransferScreened | TransferBatchScreened | None:
    """Return what was sent for this request, None when it was never decided.

    Raises: Conflict `batch_partly_decided`: one of its transfers was decided outside of this batch.
    """
    known = [command.transfer_id in stored for command in asked.commands]
    if not any(known):
        return None
    if not all(known):
        raise Conflict("batch_partly_decided", "Some of these transfers were decided before.", batch_id=asked.batch_id)
    screenings = tuple(_as_sent(command, stored[command.transfer_id]) for command in asked.commands)
    if asked.batch_id is None:
        return screenings[0]
    return TransferBatchScreened(batch_id=asked.batch_id, screenings=screenings)


def _as_sent(command: TransferCommand, decision: StoredDecision) -> TransferScreened:
    return TransferScreened(
        decision_id=decision.decision_id,
        verdict=decision.verdict,
        code=decision.code,
        reasons=tuple(decision.reasons),
        ruleset=decision.ruleset,
        facts={} if decision.facts is None else _read_facts(decision.facts),
        screened_at=to_rfc3339(decision.decided_at),
        command=command if decision.command is None else _read_command(decision.command),
    )
