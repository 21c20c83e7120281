"""An entry as a leaf of the sealed log."""

import msgspec

from libs.common.contracts.audit import AuditEntry
from libs.common.proof.canonical_json import canonical
from libs.common.proof.merkle import leaf_hash


def leaf_of(entry: AuditEntry) -> bytes:
    """Return the hash of the entry's canonical text (RFC 8785), every field in it."""
    return leaf_hash(canonical(msgspec.structs.asdict(entry)))
