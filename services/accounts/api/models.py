"""Bodies of requests and answers. Requests refuse unknown fields; answers are whole at every call."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from libs.common.clock import to_rfc3339
from libs.common.http.models import (
    PRINTABLE_SCHEMA,
    AssetCode,
    EmailText,
    MetadataMap,
    NameText,
    ShortText,
    StrictModel,
    is_printable,
)
from services.accounts.domain.account import Account, ShownStatus
from services.accounts.domain.customer import Customer, CustomerStatus, Profile
from services.accounts.domain.session import Session

_ROLES_MAX = 20


def _printable_secret(secret: SecretStr) -> SecretStr:
    """Refuse what no keyboard types and no hash takes. Raises: ValueError, which does not repeat it."""
    text = secret.get_secret_value()
    # Unlike a plain str field, a secret one lets lone surrogates through, which no hash can take.
    if not is_printable(text) or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must not contain control characters or lone surrogates")
    return secret


def _digits(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not (text.isascii() and text.isdigit()):
        raise ValueError("must be digits")
    return secret


# Secret: neither a log line nor a validation error may repeat what somebody typed here.
_Secret = Annotated[SecretStr, AfterValidator(_printable_secret), Field(json_schema_extra=PRINTABLE_SCHEMA)]
NewPassword = Annotated[_Secret, Field(min_length=12, max_length=200)]
PasswordAttempt = Annotated[_Secret, Field(max_length=200)]
RefreshTokenText = Annotated[_Secret, Field(min_length=1, max_length=100)]
MailedTokenText = Annotated[_Secret, Field(min_length=1, max_length=100)]


# Exactly digits: what is no code at all is not a guess.
TotpCodeText = Annotated[
    SecretStr,
    Field(min_length=6, max_length=6, json_schema_extra={"pattern": "^[0-9]{6}$"}),
    AfterValidator(_digits),
]
RecoveryCodeText = Annotated[_Secret, Field(min_length=16, max_length=40)]


class Registration(StrictModel):
    """What somebody says of himself to become a customer."""

    email: EmailText
    password: NewPassword
    full_name: NameText


class Registered(BaseModel):
    """The new customer's id, by which everything else knows him."""

    user_id: str


class Login(StrictModel):
    """An e-mail and a password, any that could be ones; and a code of the second factor, where one is set up."""

    email: EmailText
    password: PasswordAttempt
    totp_code: TotpCodeText | None = None
    recovery_code: RecoveryCodeText | None = None


class RefreshRequest(StrictModel):
    """The refresh token handed out last."""

    refresh_token: RefreshTokenText


class AccessToken(BaseModel):
    """An access token by itself. `expires_in` is its life in seconds."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 -- the scheme's name (RFC 6750), not a secret
    expires_in: int


class Tokens(BaseModel):
    """A pair of tokens. `expires_in` is the access token's life in seconds."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 -- the scheme's name (RFC 6750), not a secret
    expires_in: int


class SessionAnswer(BaseModel):
    """A log-in that goes on. Times are RFC 3339 UTC; `is_current` marks the one that asks."""

    session_id: str
    begun_at: str
    last_used_at: str
    expires_at: str
    address: str
    user_agent: str
    is_current: bool

    @classmethod
    def of(cls, session: Session, current_id: str) -> "SessionAnswer":
        """Return the answer about the log-in of this session."""
        return cls(
            session_id=session.family_id,
            begun_at=to_rfc3339(session.begun_at),
            last_used_at=to_rfc3339(session.issued_at),
            expires_at=to_rfc3339(session.expires_at),
            address=session.caller.address,
            user_agent=session.caller.user_agent,
            is_current=session.family_id == current_id,
        )


class SessionList(BaseModel):
    """A page of log-ins, newest first. `next` is the cursor of the next page; null on the last."""

    sessions: list[SessionAnswer]
    next: str | None


class CustomerAnswer(BaseModel):
    """A customer as he sees himself. Times are RFC 3339 UTC."""

    user_id: str
    email: str
    full_name: str
    roles: list[str]
    profile: Profile
    status: CustomerStatus
    email_verified: bool
    registered_at: str

    @classmethod
    def of(cls, customer: Customer) -> "CustomerAnswer":
        """Return the answer about this customer."""
        return cls(
            user_id=customer.user_id,
            email=customer.email,
            full_name=customer.full_name,
            roles=sorted(customer.roles),
            profile=customer.profile,
            status=customer.status,
            email_verified=customer.email_verified_at is not None,
            registered_at=to_rfc3339(customer.registered_at),
        )


class ProfilePatch(StrictModel):
    """What a customer corrects about himself."""

    full_name: NameText


class ProfileChange(StrictModel):
    """Whose limits hold for the customer."""

    profile: Profile


class RolesChange(StrictModel):
    """All roles the customer has from now on."""

    roles: Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=_ROLES_MAX)]


AccountName = Annotated[
    ShortText | None, Field(description="What you call the account, for yourself alone.", examples=["Holidays"])
]


class AccountRequest(StrictModel):
    """The asset to keep in the new account, such as `USD`, and what you write on it."""

    asset: AssetCode
    name: AccountName = None
    metadata: Annotated[MetadataMap, Field(default_factory=dict)]


class AccountDescription(StrictModel):
    """What to write on an account. A field left out stays as it is; `name` null removes it."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})
    name: AccountName = None
    metadata: Annotated[
        MetadataMap, Field(default_factory=dict, description="Up to 20 pairs, in place of all that were there.")
    ]

    @model_validator(mode="after")
    def _one_at_least(self) -> "AccountDescription":
        if not self.model_fields_set:
            message = "send name, metadata or both"
            raise ValueError(message)
        return self


class AccountAnswer(BaseModel):
    """An account that has no entries yet: every balance is zero, and so is the version, which each change raises."""

    account_id: str
    account_number: str
    asset: str
    status: ShownStatus
    is_primary: bool
    name: str | None
    metadata: dict[str, str]
    posted_minor: int = 0
    available_minor: int = 0
    pending_out_minor: int = 0
    held_minor: int = 0
    version: int = 0

    @classmethod
    def of(cls, account: Account) -> "AccountAnswer":
        """Return the answer about this account."""
        return cls(
            account_id=account.account_id,
            account_number=account.account_number,
            asset=account.asset,
            status=account.shown_status,
            is_primary=account.is_primary,
            name=account.name,
            metadata=dict(account.metadata),
        )


class AccountListed(BaseModel):
    """An account without its balance, which the account's own address tells."""

    account_id: str
    account_number: str
    asset: str
    status: ShownStatus
    is_primary: bool
    name: str | None
    metadata: dict[str, str]

    @classmethod
    def of(cls, account: Account) -> "AccountListed":
        """Return the answer about this account."""
        return cls(
            account_id=account.account_id,
            account_number=account.account_number,
            asset=account.asset,
            status=account.shown_status,
            is_primary=account.is_primary,
            name=account.name,
            metadata=dict(account.metadata),
        )


class AccountList(BaseModel):
    """A page of accounts, oldest first. `next_after` asks for the next page; null on the last."""

    accounts: list[AccountListed]
    next_after: str | None
