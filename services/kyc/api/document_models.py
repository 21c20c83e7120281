"""Answers about documents: what is known of them beside their content."""

from typing import Annotated

from pydantic import BaseModel, Field

from libs.common.clock import to_rfc3339
from services.kyc.domain.documents import Document, DocumentKind, DocumentStatus, MediaType


class DocumentAnswer(BaseModel):
    """A document that was sent. What it was called where it came from is not kept."""

    document_id: Annotated[
        str, Field(description="The document's id.", examples=["0198f3a2-7c41-7d10-9f5e-2b6c7d8e9f02"])
    ]
    kind: Annotated[DocumentKind, Field(description="What it proves.")]
    status: Annotated[DocumentStatus, Field(description="`removed`: its content is destroyed.")]
    content_type: Annotated[MediaType, Field(description="Its media type.", examples=["image/jpeg"])]
    bytes: Annotated[int, Field(description="How long it is as it is kept: written anew, without metadata.")]
    pages: Annotated[int | None, Field(description="Of a PDF.")]
    created_at: Annotated[str, Field(description="When it was stored, RFC 3339 UTC.")]
    removed_at: Annotated[str | None, Field(description="When it was removed, RFC 3339 UTC.")]

    @classmethod
    def of(cls, document: Document) -> "DocumentAnswer":
        """Return the answer about this document."""
        return cls(
            document_id=document.document_id,
            kind=document.kind,
            status=document.status,
            content_type=document.content_type,
            bytes=document.bytes,
            pages=document.pages,
            created_at=to_rfc3339(document.created_at),
            removed_at=to_rfc3339(document.removed_at) if document.removed_at else None,
        )


class DocumentPage(BaseModel):
    """Documents, newest first. `next` is the cursor of the page behind, null on the last."""

    documents: Annotated[list[DocumentAnswer], Field(description="The documents of this page.")]
    next: str | None
