"""The tables as SQLAlchemy Core sees them. Their constraints stand in the migrations alone."""

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

_METADATA: Final = MetaData(schema="accounts")
_ID: Final = Uuid(as_uuid=False)
_MOMENT: Final = DateTime(timezone=True)

CUSTOMERS: Final = Table(
    "customers",
    _METADATA,
    Column("user_id", _ID, primary_key=True),
    Column("email", Text),
    Column("full_name", Text),
    Column("personal_key", LargeBinary),
    Column("email_hash", LargeBinary),
    Column("email_sealed", LargeBinary),
    Column("password_hash", Text),
    Column("full_name_sealed", LargeBinary),
    Column("roles", ARRAY(Text)),
    Column("profile", Text),
    Column("status", Text),
    Column("email_verified_at", _MOMENT),
    Column("version", BigInteger),
    Column("registered_at", _MOMENT),
    Column("changed_at", _MOMENT),
    Column("deleted_at", _MOMENT),
    Column("erased_at", _MOMENT),
    Column("kind", Text),
)

SERVICE_ACCOUNTS: Final = Table(
    "service_accounts",
    _METADATA,
    Column("user_id", _ID, primary_key=True),
    Column("name", Text),
    Column("created_at", _MOMENT),
    Column("created_by", _ID),
)

API_KEYS: Final = Table(
    "api_keys",
    _METADATA,
    Column("key_id", _ID, primary_key=True),
    Column("user_id", _ID),
    Column("name", Text),
    Column("secret_sha256", LargeBinary),
    Column("scopes", ARRAY(Text)),
    Column("networks", ARRAY(Text)),
    Column("created_at", _MOMENT),
    Column("created_by", _ID),
    Column("expires_at", _MOMENT),
    Column("last_used_at", _MOMENT),
    Column("revoked_at", _MOMENT),
)

SESSIONS: Final = Table(
    "sessions",
    _METADATA,
    Column("session_id", _ID, primary_key=True),
    Column("user_id", _ID),
    Column("family_id", _ID),
    Column("refresh_hash", LargeBinary),
    Column("begun_at", _MOMENT),
    Column("issued_at", _MOMENT),
    Column("expires_at", _MOMENT),
    Column("proven_at", _MOMENT),
    Column("factors", ARRAY(Text)),
    Column("address", Text),
    Column("user_agent", Text),
    Column("rotated_at", _MOMENT),
    Column("revoked_at", _MOMENT),
)

ACCOUNTS: Final = Table(
    "accounts",
    _METADATA,
    Column("account_id", _ID, primary_key=True),
    Column("account_number", Text),
    Column("owner_id", _ID),
    Column("asset", Text),
    Column("status", Text),
    Column("ledger_status", Text),
    Column("ledger_index", BigInteger),
    Column("is_primary", Boolean),
    Column("version", BigInteger),
    Column("created_at", _MOMENT),
    Column("opened_at", _MOMENT),
    Column("changed_at", _MOMENT),
    Column("asks", Integer),
    Column("ask_again_at", _MOMENT),
    Column("name", Text),
    Column("metadata", JSONB),
)

ACCOUNT_SERIALS: Final = Sequence("account_serials", metadata=_METADATA)

REVOCATIONS: Final = Table(
    "revocations",
    _METADATA,
    Column("revocation_id", _ID, primary_key=True),
    Column("user_id", _ID),
    Column("session_id", _ID),
    Column("key_id", Text),
    Column("occurred_at", _MOMENT),
)

PASSWORD_RESETS: Final = Table(
    "password_resets",
    _METADATA,
    Column("reset_id", _ID, primary_key=True),
    Column("user_id", _ID),
    Column("asked_at", _MOMENT),
    Column("token_hash", LargeBinary),
    Column("expires_at", _MOMENT),
    Column("used_at", _MOMENT),
)

GUESSES: Final = Table(
    "guesses",
    _METADATA,
    Column("subject", LargeBinary, primary_key=True),
    Column("wrong", Integer),
    Column("locked_until", _MOMENT),
    Column("last_at", _MOMENT),
)

AUTHENTICATORS: Final = Table(
    "authenticators",
    _METADATA,
    Column("user_id", _ID, primary_key=True),
    Column("sealed_secret", LargeBinary),
    Column("confirmed_at", _MOMENT),
    Column("last_step", BigInteger),
)

RECOVERY_CODES: Final = Table(
    "recovery_codes",
    _METADATA,
    Column("user_id", _ID, primary_key=True),
    Column("code_hash", LargeBinary, primary_key=True),
    Column("used_at", _MOMENT),
)

MAILS: Final = Table(
    "mails",
    _METADATA,
    Column("mail_id", _ID, primary_key=True),
    Column("content", LargeBinary),
    Column("tries", Integer),
    Column("queued_at", _MOMENT),
    Column("due_at", _MOMENT),
)

NOTICES: Final = Table(
    "notices",
    _METADATA,
    Column("user_id", _ID, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("noted_at", _MOMENT),
)

EMAIL_VERIFICATIONS: Final = Table(
    "email_verifications",
    _METADATA,
    Column("user_id", _ID, primary_key=True),
    Column("token_hash", LargeBinary),
    Column("expires_at", _MOMENT),
    Column("mails", Integer),
    Column("next_mail_at", _MOMENT),
)

EMAIL_CHANGES: Final = Table(
    "email_changes",
    _METADATA,
    Column("user_id", _ID, primary_key=True),
    Column("email_sealed", LargeBinary),
    Column("token_hash", LargeBinary),
    Column("expires_at", _MOMENT),
    Column("mails", Integer),
    Column("next_mail_at", _MOMENT),
)

ERASURES: Final = Table(
    "erasures",
    _METADATA,
    Column("user_id", _ID, primary_key=True),
    Column("requested_by", _ID),
    Column("requested_at", _MOMENT),
    Column("expires_at", _MOMENT),
    Column("approved_by", _ID),
    Column("erased_at", _MOMENT),
    Column("stopped_by", _ID),
    Column("stopped_at", _MOMENT),
    Column("stop_reason", Text),
)
