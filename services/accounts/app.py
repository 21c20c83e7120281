"""Composition root of accounts: only here are its parts constructed."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final

from fastapi import APIRouter, FastAPI

from libs.common.audit.audit_log import AuditLog
from libs.common.audit.trail import AuditTrail
from libs.common.clock import Clock, system_clock
from libs.common.contracts.topics import ASSETS, LEDGER_ACCOUNTS, NOTICES
from libs.common.db.engine import make_engine
from libs.common.db.hot import HotConnection
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.digests.published_digests import PublishedDigests
from libs.common.http.app import make_app
from libs.common.http.credentials import Credentials
from libs.common.http.digests import digests_router
from libs.common.http.health import Health
from libs.common.messaging.bus import Bus
from libs.common.messaging.delivery import Subscription
from libs.common.personal.master_keys import MasterKeyFile
from libs.common.personal.sealing import Sealer
from libs.common.service import Role
from libs.common.timers import Timers
from libs.common.wait_for_servers import until_available
from services.accounts.api.accounts import accounts_router
from services.accounts.api.admin_users import admin_users_router
from services.accounts.api.api_keys import api_keys_router
from services.accounts.api.auth import auth_router
from services.accounts.api.deletions import deletions_router
from services.accounts.api.email_change import email_change_router
from services.accounts.api.email_verification import email_verification_router
from services.accounts.api.erasures import erasures_router
from services.accounts.api.internal import internal_router
from services.accounts.api.me import me_router
from services.accounts.api.passwords import passwords_router
from services.accounts.api.second_factor import second_factor_router
from services.accounts.api.service_accounts import service_account_keys_router, service_accounts_router
from services.accounts.api.sessions import sessions_router
from services.accounts.api.users import users_router
from services.accounts.consumers.on_asset_added import on_asset_added
from services.accounts.consumers.on_held_money_arrived import OnHeldMoneyArrived
from services.accounts.consumers.on_ledger_account_changed import OnLedgerAccountChanged
from services.accounts.consumers.on_ledger_account_opened import OnLedgerAccountOpened
from services.accounts.mailers import Mailer, SmtpMailer, SpoolMailer
from services.accounts.openings import Openings
from services.accounts.passwords import Passwords
from services.accounts.settings import AccountsSettings
from services.accounts.sisters import Sisters
from services.accounts.store.digests import DIGESTS
from services.accounts.tokens import AccessTokens
from services.accounts.use_cases.activate_accounts import ActivateAccounts
from services.accounts.use_cases.ask_ledger_again import AskLedgerAgain
from services.accounts.use_cases.ask_to_verify_email import AskToVerifyEmail
from services.accounts.use_cases.authenticate_customer import AuthenticateCustomer
from services.accounts.use_cases.change_email import ChangeEmail
from services.accounts.use_cases.change_name import ChangeName
from services.accounts.use_cases.change_password import ChangePassword
from services.accounts.use_cases.change_profile import ChangeProfile
from services.accounts.use_cases.choose_primary import ChoosePrimary
from services.accounts.use_cases.close_customer import CloseCustomer
from services.accounts.use_cases.close_service_account import CloseServiceAccount
from services.accounts.use_cases.create_admin import CreateAdmin
from services.accounts.use_cases.create_api_key import CreateApiKey
from services.accounts.use_cases.create_service_account import CreateServiceAccount
from services.accounts.use_cases.describe_account import DescribeAccount
from services.accounts.use_cases.erase_customer import EraseCustomer
from services.accounts.use_cases.forget_expired import ForgetExpired
from services.accounts.use_cases.grant_roles import GrantRoles
from services.accounts.use_cases.guard_guesses import GuardGuesses
from services.accounts.use_cases.note_ledger_states import NoteLedgerStates
from services.accounts.use_cases.open_account import OpenAccount
from services.accounts.use_cases.refresh_proof import RefreshProof
from services.accounts.use_cases.refresh_session import RefreshSession
from services.accounts.use_cases.register_customer import RegisterCustomer
from services.accounts.use_cases.register_first_admin import RegisterFirstAdmin
from services.accounts.use_cases.remove_revocations import RemoveRevocations
from services.accounts.use_cases.repeat_changes import RepeatChanges
from services.accounts.use_cases.request_password_reset import RequestPasswordReset
from services.accounts.use_cases.reset_password import ResetPassword
from services.accounts.use_cases.restore_deleted import Deletions
from services.accounts.use_cases.revoke_api_key import RevokeApiKey
from services.accounts.use_cases.revoke_session import RevokeSession
from services.accounts.use_cases.seal_stored import SealStored
from services.accounts.use_cases.send_mails import SendMails
from services.accounts.use_cases.send_notices import SendNotices
from services.accounts.use_cases.send_password_resets import SendPasswordResets
from services.accounts.use_cases.set_second_factor import SetSecondFactor
from services.accounts.use_cases.tell_credentials import TellCredentials
from services.accounts.use_cases.verify_email import VerifyEmail
from services.accounts.views.accounts import AccountView
from services.accounts.views.api_keys import ApiKeyView
from services.accounts.views.customers import CustomerView
from services.accounts.views.erasures import ErasureView
from services.accounts.views.sessions import SessionView

_ASK_SECONDS: Final = 1.0
_REPEAT_SECONDS: Final = 60.0
_MAIL_SECONDS: Final = 0.5
_RESET_SECONDS: Final = 1.0
_FORGET_SECONDS: Final = 300.0


def build(role: Role) -> FastAPI:
    """Construct the process of this role from its settings."""
    settings = AccountsSettings()
    dsn = settings.postgres_dsn.get_secret_value()
    master_keys = MasterKeyFile(settings.master_keys_file)
    engine = make_engine(dsn, f"accounts-{role}", Sealer(master_keys.load(), master_keys.load))
    digesting = HotConnection(dsn, "accounts-digests")
    bus = Bus(settings, service="accounts", clock=system_clock)
    uow = UnitOfWork(engine, bus.outbox)
    openings = Openings()
    timers = Timers()
    credentials = Credentials(
        settings.jwks_file, TellCredentials(uow, system_clock), max_auth_age_seconds=settings.max_auth_age_seconds
    )
    health = Health()
    if role != "worker":
        bus.follow({ASSETS: on_asset_added}, urgent=False)
        credentials.follow(bus, health, "accounts")
    if role != "api":
        _subscribe(bus, uow, openings)
        timers.every(_ASK_SECONDS, "ask-ledger-again", AskLedgerAgain(uow, system_clock))
        timers.every(_FORGET_SECONDS, "remove-revocations", RemoveRevocations(uow, system_clock))
        timers.every(_REPEAT_SECONDS, "repeat-changes", RepeatChanges(uow, bus.publisher, system_clock))
        timers.every(_MAIL_SECONDS, "send-mails", SendMails(uow, _make_mailer(settings), system_clock))
        timers.every(_RESET_SECONDS, "send-password-resets", SendPasswordResets(uow, system_clock))
        timers.every(_FORGET_SECONDS, "forget-expired", ForgetExpired(uow, system_clock))
    passwords = Passwords()
    sisters = Sisters({"gateway": settings.gateway_url, "ledger": settings.ledger_url}, settings.internal_token)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            await until_available(bus.start)
            await until_available(SealStored(uow))
            if role != "worker":
                await until_available(partial(_register_first_admin, settings, uow, passwords))
            await timers.start()
            async with credentials:
                yield
        finally:
            await timers.stop()
            await bus.stop()
            await digesting.close()
            await sisters.close()
            await engine.dispose()

    health.add("accounts.bus", bus.what_is_wrong)
    health.add("accounts.timers", timers.what_is_wrong)
    return make_app(
        service="accounts",
        title="Tallystick accounts",
        description="Customers, their log-ins and their accounts.",
        version="1",
        routers=[]
        if role == "worker"
        else [*make_routers(settings, uow, passwords, openings, sisters, system_clock), _digests(settings, digesting)],
        lifespan=lifespan,
        health=health,
        metrics_token_file=settings.metrics_token_file,
        verifier=credentials.verifier,
        proxies=settings.proxies(),
        audit=AuditTrail(AuditLog("accounts", dsn, bus.outbox), system_clock),
    )


def _subscribe(bus: Bus, uow: UnitOfWork, openings: Openings) -> None:
    """Have the workers hear what the ledger does to accounts, and what customers are to be told."""
    opened = OnLedgerAccountOpened(ActivateAccounts(uow, openings, system_clock))
    changed = OnLedgerAccountChanged(NoteLedgerStates(uow))
    notices = OnHeldMoneyArrived(SendNotices(uow, system_clock))
    bus.subscribe(Subscription("accounts.activate-accounts", LEDGER_ACCOUNTS, opened, max_messages=500))
    bus.subscribe(Subscription("accounts.note-ledger-states", LEDGER_ACCOUNTS, changed, max_messages=500))
    bus.subscribe(Subscription("accounts.send-notices", NOTICES, notices, max_messages=500))


def make_routers(
    settings: AccountsSettings,
    uow: UnitOfWork,
    passwords: Passwords,
    openings: Openings,
    sisters: Sisters,
    clock: Clock,
) -> Sequence[APIRouter]:
    """Construct the routes with the use cases and views behind them."""
    customers, accounts, erasures = CustomerView(uow), AccountView(uow), ErasureView(uow, clock)
    create_api_key, revoke_api_key, keys = CreateApiKey(uow, clock), RevokeApiKey(uow, clock), ApiKeyView(uow)
    return [
        users_router(RegisterCustomer(uow, passwords, clock)),
        *_log_in_routers(settings, uow, passwords, clock),
        email_verification_router(VerifyEmail(uow, clock), AskToVerifyEmail(uow, clock)),
        me_router(customers, ChangeName(uow, clock), CloseCustomer(uow, sisters, clock)),
        email_change_router(ChangeEmail(uow, clock), clock),
        deletions_router(Deletions(uow, clock)),
        erasures_router(EraseCustomer(uow, clock, retention=timedelta(days=settings.retention_days)), erasures),
        accounts_router(
            OpenAccount(
                uow,
                openings,
                clock,
                patience_seconds=settings.opening_patience_seconds,
                accounts_max=settings.accounts_per_asset_max,
            ),
            DescribeAccount(uow, clock),
            ChoosePrimary(uow, clock),
            accounts,
        ),
        admin_users_router(ChangeProfile(uow, clock), GrantRoles(uow, clock)),
        api_keys_router(create_api_key, revoke_api_key, keys, clock),
        service_accounts_router(CreateServiceAccount(uow, clock), CloseServiceAccount(uow, clock), keys),
        service_account_keys_router(create_api_key, revoke_api_key, keys),
        internal_router(accounts, customers, erasures, TellCredentials(uow, clock), settings.internal_token),
    ]


def _log_in_routers(
    settings: AccountsSettings, uow: UnitOfWork, passwords: Passwords, clock: Clock
) -> Sequence[APIRouter]:
    tokens = AccessTokens(settings.token_key_file, settings.jwks_file)
    guard_guesses = GuardGuesses(uow, clock)
    revoke_session = RevokeSession(uow, clock)
    return [
        auth_router(
            AuthenticateCustomer(
                uow,
                passwords,
                guard_guesses,
                tokens,
                clock,
                verified_email=settings.require_verified_email,
            ),
            RefreshSession(uow, tokens, clock),
            revoke_session,
            tokens,
        ),
        sessions_router(SessionView(uow, clock), revoke_session),
        second_factor_router(
            SetSecondFactor(uow, clock),
            RefreshProof(uow, passwords, guard_guesses, tokens, clock),
            clock,
        ),
        passwords_router(
            ChangePassword(uow, passwords, guard_guesses, clock),
            RequestPasswordReset(uow, clock),
            ResetPassword(uow, passwords, guard_guesses, clock),
        ),
    ]


def _make_mailer(settings: AccountsSettings) -> Mailer:
    if settings.smtp_host is None:
        return SpoolMailer(settings.mail_folder, settings.mail_from)
    return SmtpMailer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        encryption=settings.smtp_encryption,
        sender=settings.mail_from,
        user=settings.smtp_user,
        password=settings.smtp_password,
    )


def _digests(settings: AccountsSettings, digesting: HotConnection) -> APIRouter:
    digests = PublishedDigests(digesting, "accounts", DIGESTS)
    return digests_router(settings.internal_token, digests.tables, count_unsent=digests.count_unsent, forget={})


async def _register_first_admin(settings: AccountsSettings, uow: UnitOfWork, passwords: Passwords) -> None:
    if settings.admin_email is None or settings.admin_password is None:
        return
    register_first_admin = RegisterFirstAdmin(uow, CreateAdmin(uow, passwords, system_clock))
    await register_first_admin(email=settings.admin_email, password=settings.admin_password.get_secret_value())
