"""The tables as SQLAlchemy Core sees them. Their constraints stand in the migrations alone."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY

_METADATA: Final = MetaData(schema="kyc")
_ID: Final = Uuid(as_uuid=False)
_MOMENT: Final = DateTime(timezone=True)

VERIFICATIONS: Final = Table(
    "verifications",
    _METADATA,
    Column("user_id", _ID, primary_key=True),
    Column("status", Text),
    Column("tier", SmallInteger),
    Column("version", BigInteger),
    Column("full_name", Text),
    Column("birth_date", Date),
    Column("country", Text),
    Column("personal_key", LargeBinary),
    Column("application_sealed", LargeBinary),
    Column("submitted_at", _MOMENT),
    Column("decided_at", _MOMENT),
    Column("decided_by", _ID),
    Column("reason", Text),
    Column("changed_at", _MOMENT),
    Column("erased_at", _MOMENT),
    Column("kept_tier", SmallInteger),
    Column("may_retry", Boolean),
    Column("rejection_code", Text),
    Column("needs", ARRAY(Text)),
    Column("queue_position", BigInteger),
    Column("claimed_by", _ID),
    Column("claimed_until", _MOMENT),
    Column("high_risk", Boolean),
    Column("risk_set_by", _ID),
    Column("retry_at", _MOMENT),
    Column("requested_tier", SmallInteger),
)

VERIFICATION_EVENTS: Final = Table(
    "verification_events",
    _METADATA,
    Column("user_id", _ID, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("from_status", Text),
    Column("to_status", Text),
    Column("actor_id", _ID),
    Column("reason", Text),
    Column("at", _MOMENT),
    Column("action", Text),
    Column("tier", SmallInteger),
    Column("code", Text),
    Column("requested_tier", SmallInteger),
)

APPROVALS: Final = Table(
    "approvals",
    _METADATA,
    Column("user_id", _ID, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("approved_by", _ID, primary_key=True),
    Column("tier", SmallInteger, primary_key=True),
    Column("documents_version", BigInteger),
    Column("reason", Text),
    Column("at", _MOMENT),
)

RISK_CHANGES: Final = Table(
    "risk_changes",
    _METADATA,
    Column("change_id", _ID, primary_key=True),
    Column("user_id", _ID),
    Column("high_risk", Boolean),
    Column("actor_id", _ID),
    Column("reason", Text),
    Column("at", _MOMENT),
)
