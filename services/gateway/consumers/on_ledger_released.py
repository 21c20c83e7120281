"""An administrator has released a finding: with the last of them the ledger goes on."""

import msgspec


class _Told(msgspec.Struct, frozen=True):
    """Both messages of the topic, as far as they matter here. LedgerIntegrityBroken leaves the number out."""

    occurred_at: str
    open_findings: int = 1


_decode = msgspec.json.Decoder(_Told).decode


def open_findings_after(payload: bytes) -> tuple[int, str]:
    """Return how many findings halt the ledger after this message, and when it was said."""
    told = _decode(payload)
    return told.open_findings, told.occurred_at
