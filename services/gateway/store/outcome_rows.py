"""Outcomes as rows of `gateway.outcomes` and `gateway.later_states`, which have the same columns."""

from collections.abc import Sequence
from typing import Any

import msgspec

from services.gateway.domain.outcomes import UNSETTLED, Outcome, Settlement

_encode = msgspec.json.Encoder().encode
_decode_facts = msgspec.json.Decoder(dict[str, int | str]).decode
_decode_settlement = msgspec.json.Decoder(Settlement).decode


def columns_of(outcomes: Sequence[Outcome]) -> tuple[list[Any], ...]:
    """Return a list a column; the settlement as JSON text, NULL where there is none."""
    return (
        [o.transfer_id for o in outcomes],
        [o.status for o in outcomes],
        [o.version for o in outcomes],
        [o.code for o in outcomes],
        [",".join(o.reasons) for o in outcomes],
        [_encode(o.facts) for o in outcomes],
        [o.journal_index for o in outcomes],
        [o.occurred_at for o in outcomes],
        [None if o.settlement is UNSETTLED else _encode(o.settlement).decode() for o in outcomes],
        [o.attempts for o in outcomes],
    )


def outcome_from(row: Sequence[Any]) -> Outcome:
    """Return the outcome that a row holds, its columns in the order of `columns_of`."""
    transfer_id, status, version, code, reasons, facts, journal_index, occurred_at, settlement, attempts = row
    return Outcome(
        transfer_id,
        status,
        version,
        code,
        tuple(reasons),
        _decode_facts(facts),
        journal_index,
        occurred_at,
        settlement_from(settlement),
        attempts,
    )


def settlement_from(column: str | None) -> Settlement:
    """Return the settlement that a column of JSON holds."""
    return UNSETTLED if column is None else _decode_settlement(column)
