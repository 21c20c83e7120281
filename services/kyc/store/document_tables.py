"""The tables of documents as SQLAlchemy Core sees them. Their constraints stand in the migrations alone."""

from typing import Final

from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, MetaData, SmallInteger, Table, Text, Uuid

_METADATA: Final = MetaData(schema="kyc")
_ID: Final = Uuid(as_uuid=False)
_MOMENT: Final = DateTime(timezone=True)

DOCUMENT_HOLDERS: Final = Table(
    "document_holders",
    _METADATA,
    Column("user_id", _ID, primary_key=True),
    Column("personal_key", LargeBinary),
    Column("created_at", _MOMENT),
    Column("erased_at", _MOMENT),
)

DOCUMENT_FILES: Final = Table(
    "document_files",
    _METADATA,
    Column("document_id", _ID, primary_key=True),
    Column("begun_at", _MOMENT),
    Column("stored_at", _MOMENT),
    Column("condemned_at", _MOMENT),
    Column("deleted_at", _MOMENT),
)

DOCUMENTS: Final = Table(
    "documents",
    _METADATA,
    Column("document_id", _ID, primary_key=True),
    Column("user_id", _ID),
    Column("kind", Text),
    Column("status", Text),
    Column("place", SmallInteger),
    Column("content_type", Text),
    Column("bytes", BigInteger),
    Column("pages", SmallInteger),
    Column("content_hash", LargeBinary),
    Column("key_sealed", LargeBinary),
    Column("created_at", _MOMENT),
    Column("removed_at", _MOMENT),
)
