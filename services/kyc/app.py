"""Composition root of kyc: only here are its parts constructed."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from fastapi import APIRouter, FastAPI

from libs.common.approvals.void_approvals import VoidApprovals
from libs.common.audit.audit_log import AuditLog
from libs.common.audit.trail import AuditTrail
from libs.common.clock import Clock, system_clock
from libs.common.contracts.topics import CREDENTIALS, ERASURES
from libs.common.db.engine import make_engine
from libs.common.db.hot import HotConnection
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.digests.published_digests import PublishedDigests
from libs.common.http.app import make_app
from libs.common.http.credential_owner import DistantOwner
from libs.common.http.credentials import Credentials
from libs.common.http.digests import digests_router
from libs.common.http.health import Health
from libs.common.messaging.bus import Bus
from libs.common.messaging.delivery import Subscription
from libs.common.personal.erased_at_accounts import ErasedAtAccounts
from libs.common.personal.fetch_erasures import FETCH_SECONDS, FetchErasures
from libs.common.personal.master_keys import MasterKeyFile
from libs.common.personal.sealing import Sealer
from libs.common.service import Role
from libs.common.timers import Timers
from libs.common.wait_for_servers import until_available
from services.kyc.api.admin_decisions import admin_decisions_router
from services.kyc.api.admin_reviews import admin_reviews_router
from services.kyc.api.application import application_router
from services.kyc.api.documents import BODY_BOUNDS, admin_documents_router, documents_router
from services.kyc.api.tier_requests import tier_requests_router
from services.kyc.consumers.on_credentials_revoked import OnAuthorityEnded
from services.kyc.consumers.on_customer_erased import OnCustomerErased
from services.kyc.inspection.document_inspector import DocumentInspector
from services.kyc.settings import KycSettings
from services.kyc.store.digests import DIGESTS
from services.kyc.store.document_files import DocumentFiles
from services.kyc.use_cases.answer_question import AnswerQuestion
from services.kyc.use_cases.change_risk import ChangeRisk
from services.kyc.use_cases.claim_review import ClaimReview
from services.kyc.use_cases.count_reviews import CountReviews
from services.kyc.use_cases.decide_application import DecideApplication
from services.kyc.use_cases.forget_applicants import ForgetApplicants
from services.kyc.use_cases.read_applicant import ReadApplicant
from services.kyc.use_cases.read_document import ReadDocument
from services.kyc.use_cases.remove_document import RemoveDocument
from services.kyc.use_cases.repeat_changes import RepeatChanges
from services.kyc.use_cases.request_tier import RequestTier
from services.kyc.use_cases.seal_stored import SealStored
from services.kyc.use_cases.send_document import SendDocument
from services.kyc.use_cases.submit_application import SubmitApplication
from services.kyc.use_cases.sweep_document_files import SweepDocumentFiles
from services.kyc.views.documents import DocumentsView
from services.kyc.views.review_queue import ReviewQueueView
from services.kyc.views.verification_status import VerificationStatusView

_REPEAT_SECONDS: Final = 60.0
_COUNT_SECONDS: Final = 10.0
_SWEEP_SECONDS: Final = 60.0


def build(role: Role) -> FastAPI:
    """Construct the process of this role from its settings."""
    settings = KycSettings()
    dsn = settings.postgres_dsn.get_secret_value()
    master_keys = MasterKeyFile(settings.master_keys_file)
    sealer = Sealer(master_keys.load(), master_keys.load)
    engine = make_engine(dsn, f"kyc-{role}", sealer)
    digesting = HotConnection(dsn, "kyc-digests")
    bus = Bus(settings, service="kyc", clock=system_clock)
    uow = UnitOfWork(engine, bus.outbox)
    files = DocumentFiles(settings.documents_url)
    timers = Timers()
    credentials = Credentials(
        settings.jwks_file,
        DistantOwner(settings.accounts_url, settings.internal_token.get_secret_value()),
        max_auth_age_seconds=settings.max_auth_age_seconds,
    )
    health = Health()
    if role != "worker":
        credentials.follow(bus, health, "kyc")
    erased = ErasedAtAccounts(settings.accounts_url, settings.internal_token)
    if role != "api":
        forget_applicants = ForgetApplicants(uow, system_clock)
        bus.subscribe(
            Subscription(
                group="kyc.forget-applicants",
                topic=ERASURES,
                handle=OnCustomerErased(forget_applicants),
                max_messages=100,
            )
        )
        void_approvals = OnAuthorityEnded(VoidApprovals(uow.begin))
        bus.subscribe(Subscription(group="kyc.void-approvals", topic=CREDENTIALS, handle=void_approvals))
        timers.every(FETCH_SECONDS, "fetch-erasures", FetchErasures(erased, forget_applicants))
        timers.every(_SWEEP_SECONDS, "sweep-document-files", SweepDocumentFiles(uow, files, system_clock))
        timers.every(_COUNT_SECONDS, "count-reviews", CountReviews(uow, system_clock))
        timers.every(_REPEAT_SECONDS, "repeat-changes", RepeatChanges(uow, bus.publisher, system_clock))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            await until_available(bus.start)
            await until_available(SealStored(uow))
            await timers.start()
            async with credentials:
                yield
        finally:
            await timers.stop()
            await bus.stop()
            await erased.close()
            await digesting.close()
            await engine.dispose()

    health.add("kyc.bus", bus.what_is_wrong)
    health.add("kyc.timers", timers.what_is_wrong)
    return make_app(
        service="kyc",
        title="Tallystick KYC",
        description="Who a customer is, and how far he is trusted because of it.",
        version="1",
        routers=[]
        if role == "worker"
        else [
            *make_routers(uow, sealer, system_clock),
            *make_document_routers(uow, sealer, files, system_clock),
            _digests(settings, digesting),
        ],
        body_bounds=BODY_BOUNDS,
        lifespan=lifespan,
        health=health,
        metrics_token_file=settings.metrics_token_file,
        verifier=credentials.verifier,
        proxies=settings.proxies(),
        audit=AuditTrail(AuditLog("kyc", dsn, bus.outbox), system_clock),
    )


def make_document_routers(uow: UnitOfWork, sealer: Sealer, files: DocumentFiles, clock: Clock) -> Sequence[APIRouter]:
    """Construct the routes of documents with what is behind them."""
    view = DocumentsView(uow)
    send = SendDocument(uow, files, DocumentInspector(), clock)
    return [
        documents_router(send, RemoveDocument(uow, clock), view, sealer.search_hash),
        admin_documents_router(ReadDocument(uow, files, clock), view),
    ]


def make_routers(uow: UnitOfWork, sealer: Sealer, clock: Clock) -> Sequence[APIRouter]:
    """Construct the routes with the use cases and views behind them."""
    return [
        application_router(
            SubmitApplication(uow, clock),
            AnswerQuestion(uow, clock),
            VerificationStatusView(uow, clock),
            sealer.search_hash,
            clock,
        ),
        tier_requests_router(RequestTier(uow, clock), clock),
        admin_reviews_router(
            ReviewQueueView(uow, clock),
            ClaimReview(uow, clock),
            ReadApplicant(uow, clock),
            ChangeRisk(uow, clock),
            clock,
        ),
        admin_decisions_router(DecideApplication(uow, clock), clock),
    ]


def _digests(settings: KycSettings, digesting: HotConnection) -> APIRouter:
    digests = PublishedDigests(digesting, "kyc", DIGESTS)
    return digests_router(settings.internal_token, digests.tables, count_unsent=digests.count_unsent, forget={})
