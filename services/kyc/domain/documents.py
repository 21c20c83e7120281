"""Documents that prove who a customer is: which there are, how many, how large, and when one may be taken back."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal, get_args

from libs.common.errors import Conflict, Unprocessable
from services.kyc.domain.verification import APPLICATION_TIER, WAITING, State

DocumentKind = Literal["identity_front", "identity_back", "tax_number", "proof_of_address"]
DocumentStatus = Literal["stored", "removed"]
MediaType = Literal["image/jpeg", "image/png", "image/webp", "application/pdf"]

DOCUMENT_BYTES_MAX: Final = 10 * 1024 * 1024
"""What may be sent."""
STORED_BYTES_MAX: Final = 32 * 1024 * 1024
"""What may be kept: encoded anew, an image may have become larger."""
DOCUMENTS_MAX: Final = 10
"""How many a customer has at once."""
PAGES_MAX: Final = 20
PIXELS_MAX: Final = 40_000_000
"""A sheet of A4 at 600 dots an inch has 35 million."""
MEDIA_TYPES: Final[frozenset[str]] = frozenset(get_args(MediaType))
ENDINGS: Final[Mapping[str, str]] = MappingProxyType(
    {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "application/pdf": "pdf"}
)
"""media type → how the name of a file of this type ends."""

DOCUMENT_REFUSALS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "document_mislabelled": "The content is not what `Content-Type` says; send a JPEG, PNG, WebP or PDF as "
        "what it is.",
        "document_unreadable": "The document is broken, incomplete or animated, or takes too much to read; send "
        "it anew from its source.",
        "document_too_many_pixels": f"An image may have {PIXELS_MAX} pixels; send a smaller one.",
        "document_too_many_pages": f"A PDF may have {PAGES_MAX} pages; send those that are asked for.",
        "document_encrypted": "The PDF is encrypted; save it without a password.",
        "document_active": "The PDF has scripts, actions that start something, or files in it; print it anew.",
    }
)
"""code → what a customer is told whose document is not taken."""


@dataclass(frozen=True, slots=True)
class Document:
    """What is known of a document beside its content. `bytes` and `content_type` are those of what is kept."""

    document_id: str
    user_id: str
    kind: DocumentKind
    status: DocumentStatus
    content_type: MediaType
    bytes: int
    pages: int | None
    """Of a PDF."""
    created_at: datetime
    removed_at: datetime | None


def refusal_of(code: str) -> Unprocessable:
    """Return the refusal with this code."""
    return Unprocessable(code, DOCUMENT_REFUSALS[code])


def free_place(taken: Collection[int]) -> int:
    """Return the first of a customer's places that is free, from 1 on. Raises: Conflict `too_many_documents`."""
    free = next((place for place in range(1, DOCUMENTS_MAX + 1) if place not in taken), None)
    if free is None:
        raise Conflict(
            "too_many_documents", f"You may have {DOCUMENTS_MAX} documents; remove one first.", count_max=DOCUMENTS_MAX
        )
    return free


def require_removable(state: State) -> None:
    """Let a customer take a document back on which nobody's decision rests, or is about to.

    Raises: Conflict `document_in_use`.
    """
    if state.status in WAITING or max(state.tier, state.kept_tier) > APPLICATION_TIER:
        raise Conflict(
            "document_in_use",
            "Your verification rests on this document, or is being reviewed with it; it stays for now.",
            verification_status=state.status,
        )
