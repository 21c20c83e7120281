"""Composition of the fraud service: the only place that constructs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
from fastapi import APIRouter, FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.common.approvals.void_approvals import VoidApprovals
from libs.common.audit.audit_log import AuditLog
from libs.common.audit.trail import AuditTrail
from libs.common.clock import Clock, system_clock
from libs.common.contracts.topics import (
    ACCOUNTS,
    CREDENTIALS,
    CUSTOMERS,
    ERASURES,
    KYC_SIGNALS,
    TRANSFER_COMMANDS,
    TRANSFER_REQUESTS,
    TRANSFERS,
    VERIFICATIONS,
)
from libs.common.db.engine import make_engine
from libs.common.db.hot import HotConnection
from libs.common.db.reading import Reading
from libs.common.db.unit_of_work import UnitOfWork as StaffWork
from libs.common.digests.published_digests import PublishedDigests
from libs.common.http.app import make_app
from libs.common.http.credential_owner import DistantOwner
from libs.common.http.credentials import Credentials
from libs.common.http.digests import digests_router
from libs.common.http.health import Health
from libs.common.messaging.bus import Bus
from libs.common.messaging.delivery import Subscription
from libs.common.origins import OriginKeys
from libs.common.personal.erased_at_accounts import ErasedAtAccounts
from libs.common.personal.fetch_erasures import FETCH_SECONDS, FetchErasures
from libs.common.service import Role
from libs.common.timers import Timers
from libs.common.wait_for_servers import until_available
from services.fraud.api.alerts import alerts_router
from services.fraud.api.aml_figures import aml_figures_router
from services.fraud.api.decisions import decisions_router
from services.fraud.api.internal import internal_router
from services.fraud.api.limit_policy import limit_policy_router
from services.fraud.api.limits import limits_router
from services.fraud.api.lists import lists_router
from services.fraud.api.personal_limits import personal_limits_router
from services.fraud.api.reviews import reviews_router
from services.fraud.api.ruleset_shadows import ruleset_shadows_router
from services.fraud.api.rulesets import rulesets_router
from services.fraud.api.statistics import statistics_router
from services.fraud.api.usd_rates import usd_rates_router
from services.fraud.consumers.on_account_changed import OnAccountChanged
from services.fraud.consumers.on_capture_transfer import OnCaptureTransfer
from services.fraud.consumers.on_credentials_revoked import OnAuthorityEnded
from services.fraud.consumers.on_customer_changed import OnCustomerChanged
from services.fraud.consumers.on_customer_erased import OnCustomerErased
from services.fraud.consumers.on_document_shared import OnDocumentShared
from services.fraud.consumers.on_transfer_changed import OnTransferChanged
from services.fraud.consumers.on_transfer_requested import OnTransferRequested
from services.fraud.consumers.on_verification_changed import OnVerificationChanged
from services.fraud.settings import FraudSettings
from services.fraud.store.aml_memory import Memory
from services.fraud.store.aml_watch import Watch
from services.fraud.store.counts import any_lane
from services.fraud.store.digests import DIGESTS
from services.fraud.store.payer_cache import PayerCache
from services.fraud.store.unit_of_work import UnitOfWork
from services.fraud.use_cases.apply_customers import ApplyCustomers
from services.fraud.use_cases.apply_verifications import ApplyVerifications
from services.fraud.use_cases.ask_outcomes import ASK_SECONDS, AskOutcomes, PayersNearLimits
from services.fraud.use_cases.change_aml_figures import ChangeAmlFigures
from services.fraud.use_cases.change_lists import ChangeLists
from services.fraud.use_cases.change_ruleset import ChangeRuleset
from services.fraud.use_cases.claim_review import ClaimReview
from services.fraud.use_cases.count_reviews import COUNT_SECONDS, CountReviews
from services.fraud.use_cases.decide_review import DecideReview
from services.fraud.use_cases.decide_reviews import DecideReviews
from services.fraud.use_cases.discard_edges import DISCARD_SECONDS, DiscardEdges
from services.fraud.use_cases.end_holds import EndHolds
from services.fraud.use_cases.expire_holds import EXPIRE_SECONDS, ExpireHolds
from services.fraud.use_cases.foresee_screening import ForeseeScreening
from services.fraud.use_cases.forget_activity import FORGET_SECONDS, ForgetActivity
from services.fraud.use_cases.forget_erased import ForgetErased
from services.fraud.use_cases.judge_in_shadow import JUDGE_SHADOWS_SECONDS, JudgeInShadow
from services.fraud.use_cases.judge_postings import JUDGE_SECONDS, JudgePostings
from services.fraud.use_cases.keep_signals import KeepSignals
from services.fraud.use_cases.note_comment import NoteComment
from services.fraud.use_cases.project_accounts import ProjectAccounts
from services.fraud.use_cases.publish_ruleset import PublishRuleset
from services.fraud.use_cases.publish_shipped_rules import PublishShippedRules
from services.fraud.use_cases.read_policy import PolicyInForce
from services.fraud.use_cases.read_screening_data import ScreeningInForce
from services.fraud.use_cases.resolve_holds import ResolveHolds
from services.fraud.use_cases.review_alerts import ReviewAlerts
from services.fraud.use_cases.screen_commands import ScreenCommands
from services.fraud.use_cases.screen_transfers import ScreenTransfers
from services.fraud.use_cases.set_personal_limits import SetPersonalLimits
from services.fraud.use_cases.set_policy_limits import SetPolicyLimits
from services.fraud.use_cases.set_usd_rate import SetUsdRate
from services.fraud.use_cases.settle_limits import AwaitedHolds, SettleLimits
from services.fraud.use_cases.show_limits import ShowLimits
from services.fraud.use_cases.submit_ruleset import SubmitRuleset
from services.fraud.use_cases.sweep_holds import SWEEP_SECONDS, SweepHolds
from services.fraud.use_cases.watch_postings import WatchPostings
from services.fraud.views.aml_figures import AmlFigures
from services.fraud.views.fraud_statistics import ShowStatistics
from services.fraud.views.list_entries import ListEntriesView
from services.fraud.views.rulesets import RulesetsView
from services.fraud.views.set_by_staff import SetByStaff
from services.fraud.views.show_alerts import ShowAlerts
from services.fraud.views.show_decision import ShowDecision
from services.fraud.views.show_reviews import ShowReviews
from services.fraud.views.show_shadow import ShowShadow
from services.fraud.views.told_decisions import ToldDecisions

log = structlog.get_logger()

VERSION: Final = "1.0.0"
LOOK_AGAIN_SECONDS: Final = 0.25


def load_settings() -> FraudSettings:
    """Read the settings from the environment. Raises: pydantic's ValidationError, naming what is missing."""
    return FraudSettings()


class Worker:
    """Everything that hears the bus: one connection decides, and whoever uses it has memory and rows to himself."""

    def __init__(self, settings: FraudSettings, bus: Bus) -> None:
        """Construct the parts; nothing connects yet, and it starts and stops the bus as well."""
        self._lifted = settings.velocity_limits_lifted
        self._bus = bus
        self._hot = HotConnection(settings.postgres_dsn.get_secret_value(), "fraud-screening")
        self.timers = Timers()
        work, cache, lane = UnitOfWork(self._hot, bus.outbox), PayerCache(), any_lane()
        policy, awaited = PolicyInForce(velocity_lifted=self._lifted), AwaitedHolds()
        screening, near = _screening(settings), PayersNearLimits()
        screen = ScreenTransfers(work, cache, policy, screening, near, lane=lane, clock=system_clock)
        end_holds = EndHolds(cache, policy, screening)
        resolve = ResolveHolds(end_holds)
        self._sweep = SweepHolds(work, cache, resolve, awaited, clock=system_clock)
        verifications = ApplyVerifications(work, cache, resolve, clock=system_clock)
        settle = SettleLimits(work, cache, awaited, clock=system_clock)
        for subscription in (
            Subscription("fraud.screen-transfers", TRANSFER_REQUESTS, OnTransferRequested(screen), urgent=True),
            Subscription("fraud.apply-verifications", VERIFICATIONS, OnVerificationChanged(verifications)),
            Subscription("fraud.settle-limits", TRANSFERS, OnTransferChanged(settle)),
            Subscription("fraud.apply-customers", CUSTOMERS, OnCustomerChanged(ApplyCustomers(work, cache))),
            Subscription("fraud.keep-signals", KYC_SIGNALS, OnDocumentShared(KeepSignals(work, cache))),
            Subscription("fraud.project-accounts", ACCOUNTS, OnAccountChanged(ProjectAccounts(work))),
        ):
            bus.subscribe(subscription)
        # A connection of its own: whoever sends waits for no lock that is taken for these, nor for their statements.
        self._commanding = HotConnection(settings.postgres_dsn.get_secret_value(), "fraud-commands")
        screen_commands = ScreenCommands(UnitOfWork(self._commanding, bus.outbox), clock=system_clock)
        commands = OnCaptureTransfer(screen_commands)
        bus.subscribe(Subscription("fraud.screen-commands", TRANSFER_COMMANDS, commands, urgent=True))
        # A connection and memory of its own: what watches afterwards never keeps waiting what decides before.
        self._watching = HotConnection(settings.postgres_dsn.get_secret_value(), "fraud-watching")
        watch, memory = Watch(self._watching), Memory()
        postings = WatchPostings(watch, memory, clock=system_clock)
        bus.subscribe(Subscription("fraud.watch-postings", TRANSFERS, OnTransferChanged(postings)))
        self.timers.every(JUDGE_SECONDS, "fraud-judge-postings", JudgePostings(watch, memory, clock=system_clock))
        self.timers.every(DISCARD_SECONDS, "fraud-discard-edges", DiscardEdges(watch, clock=system_clock))
        beside = UnitOfWork(self._watching, bus.outbox)
        self.timers.every(ASK_SECONDS, "fraud-ask-outcomes", AskOutcomes(beside, near, clock=system_clock))
        # It waits for whoever counts approvals, so whoever decides must not wait for it.
        void_approvals = OnAuthorityEnded(VoidApprovals(beside.open))
        bus.subscribe(Subscription("fraud.void-approvals", CREDENTIALS, void_approvals))
        self._erased = ErasedAtAccounts(settings.accounts_url, settings.internal_token)
        forget_erased = ForgetErased(beside, system_clock)
        bus.subscribe(Subscription("fraud.forget-erased", ERASURES, OnCustomerErased(forget_erased)))
        self.timers.every(FETCH_SECONDS, "fraud-fetch-erasures", FetchErasures(self._erased, forget_erased))
        self.timers.every(SWEEP_SECONDS, "fraud-sweep-holds", self._sweep)
        self.timers.every(EXPIRE_SECONDS, "fraud-expire-holds", ExpireHolds(work, cache, end_holds, clock=system_clock))
        self.timers.every(COUNT_SECONDS, "fraud-count-reviews", CountReviews(work, clock=system_clock))
        self._publish_shipped_rules = PublishShippedRules(work, system_clock)
        self._forget_activity = ForgetActivity(work, system_clock)
        self.timers.every(FORGET_SECONDS, "fraud-forget-activity", self._forget_activity)
        self.timers.every(LOOK_AGAIN_SECONDS, "fraud-retry-set-aside", screen.retry_set_aside)
        # Timers of their own, which readiness does not ask: whatever the shadow meets, decisions go on.
        self._shadowing = HotConnection(settings.postgres_dsn.get_secret_value(), "fraud-shadow")
        self._judge_in_shadow = JudgeInShadow(screen.shadows, self._shadowing, lane=lane)
        self._shadow_timers = Timers()
        self._shadow_timers.every(JUDGE_SHADOWS_SECONDS, "fraud-judge-in-shadow", self._judge_in_shadow)

    async def start(self) -> None:
        """Connect, however long that takes, then begin."""
        if self._lifted:
            log.warning("velocity_limits_lifted", meaning="counts and daily sums block nobody")
        await until_available(self._hot.connect)
        await until_available(self._publish_shipped_rules)
        await until_available(self._bus.start)
        await until_available(self._sweep)
        await self.timers.start()
        await self._shadow_timers.start()

    async def stop(self) -> None:
        """Finish what runs, then disconnect."""
        await self.timers.stop()
        await self._shadow_timers.stop()
        await self._bus.stop()
        await self._erased.close()
        await self._hot.close()
        await self._commanding.close()
        await self._watching.close()
        await self._judge_in_shadow.finish()
        await self._shadowing.close()


def _screening(settings: FraudSettings) -> ScreeningInForce:
    """Construct what one connection remembers of rules and lists."""
    return ScreeningInForce(OriginKeys(settings.internal_token.get_secret_value()))


def _routers(
    settings: FraudSettings, engine: AsyncEngine, digesting: HotConnection, uow: StaffWork, reviewing: UnitOfWork
) -> list[APIRouter]:
    digests = PublishedDigests(digesting, "fraud", DIGESTS)
    policy = PolicyInForce(velocity_lifted=settings.velocity_limits_lifted)
    foresee, reading = ForeseeScreening(policy, system_clock), Reading(engine)
    show_decision = ShowDecision(reading)
    return [
        aml_figures_router(AmlFigures(reading), ChangeAmlFigures(uow, system_clock)),
        alerts_router(ShowAlerts(uow), ReviewAlerts(uow, system_clock)),
        decisions_router(show_decision),
        statistics_router(ShowStatistics(reading)),
        *limit_routers(reading, uow, policy, system_clock),
        *rule_routers(reading, uow, OriginKeys(settings.internal_token.get_secret_value()), system_clock),
        review_router(
            ShowReviews(reading, show_decision, system_clock),
            NoteComment(uow, system_clock),
            reviewing,
            policy,
            _screening(settings),
            system_clock,
        ),
        internal_router(foresee, ToldDecisions(reading), reading, settings.internal_token),
        digests_router(settings.internal_token, digests.tables, count_unsent=digests.count_unsent, forget={}),
    ]


def rule_routers(reading: Reading, uow: StaffWork, origins: OriginKeys, clock: Clock) -> list[APIRouter]:
    """Construct the routes about rule sets and lists, with the use cases and views behind them."""
    change = ChangeRuleset(uow, clock)
    return [
        rulesets_router(RulesetsView(reading), SubmitRuleset(uow, clock), change, PublishRuleset(uow, clock)),
        ruleset_shadows_router(ShowShadow(reading), change),
        lists_router(ListEntriesView(reading), ChangeLists(uow, origins, clock), clock),
    ]


def limit_routers(reading: Reading, uow: StaffWork, policy: PolicyInForce, clock: Clock) -> list[APIRouter]:
    """Construct the routes about limits and rates, with the use cases and views behind them."""
    show_limits, in_force = ShowLimits(reading, policy, clock), SetByStaff(reading)
    return [
        limits_router(show_limits),
        personal_limits_router(in_force, show_limits, SetPersonalLimits(uow, clock)),
        limit_policy_router(in_force, SetPolicyLimits(uow, clock)),
        usd_rates_router(in_force, SetUsdRate(uow, clock)),
    ]


def review_router(
    show: ShowReviews,
    comment: NoteComment,
    work: UnitOfWork,
    policy: PolicyInForce,
    screening: ScreeningInForce,
    clock: Clock,
) -> APIRouter:
    """Construct the routes of reviews, with the use cases behind them."""
    decide = DecideReview(work, policy, screening, clock)
    return reviews_router(show, ClaimReview(work, clock), comment, decide, DecideReviews(work, decide, clock))


def build(role: Role) -> FastAPI:
    """Put the service together for a role; what it starts, its lifespan stops."""
    settings = load_settings()
    health = Health()
    dsn = settings.postgres_dsn.get_secret_value()
    engine = make_engine(dsn, "fraud-api")
    digesting = HotConnection(dsn, "fraud-digests")
    reviewing = HotConnection(dsn, "fraud-reviews")
    bus = Bus(settings, service="fraud", clock=system_clock)
    health.add("fraud.bus", bus.what_is_wrong)
    credentials = Credentials(
        settings.jwks_file,
        DistantOwner(settings.accounts_url, settings.internal_token.get_secret_value()),
        max_auth_age_seconds=settings.max_auth_age_seconds,
    )
    if role != "worker":
        credentials.follow(bus, health, "fraud")
    worker = None if role == "api" else Worker(settings, bus)
    if worker is not None:
        health.add("fraud.timers", worker.timers.what_is_wrong)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            if worker is not None:
                await worker.start()
            else:
                await until_available(bus.start)
            async with credentials:
                yield
        finally:
            if worker is not None:
                await worker.stop()
            else:
                await bus.stop()
            await digesting.close()
            await reviewing.close()
            await engine.dispose()

    return make_app(
        service="fraud",
        title="Tallystick fraud",
        description="Screens every transfer: limits, KYC of both sides, holds and their resolution.",
        version=VERSION,
        routers=[]
        if role == "worker"
        else _routers(settings, engine, digesting, StaffWork(engine, bus.outbox), UnitOfWork(reviewing, bus.outbox)),
        lifespan=lifespan,
        health=health,
        otlp_endpoint=settings.otlp_endpoint,
        metrics_token_file=settings.metrics_token_file,
        verifier=None if role == "worker" else credentials.verifier,
        proxies=settings.proxies(),
        audit=AuditTrail(AuditLog("fraud", dsn, bus.outbox), system_clock),
    )
