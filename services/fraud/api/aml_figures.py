"""The figures by which what was posted is judged, for staff."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request

from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.cursors import CURSOR_CHARACTERS, Cursor, decode_cursor, encode_cursor
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from services.fraud.api.aml_figure_models import (
    AmlApprovalBody,
    AmlProfile,
    AmlProposalAnswer,
    AmlProposalBody,
    AmlProposalPageAnswer,
)
from services.fraud.use_cases.change_aml_figures import ChangeAmlFigures
from services.fraud.views.aml_figures import AmlFigures

_VERSION_MAX: Final = 2**31 - 1
_Profile = Annotated[AmlProfile, Path(description="`retail` or `business`")]
_Version = Annotated[int, Path(ge=1, le=_VERSION_MAX, description="the figures' version")]
_Limit = Annotated[int, Query(ge=1, le=100, description="versions in one answer")]
_Asked = Annotated[str | None, Query(max_length=CURSOR_CHARACTERS, description="`next` of the page before")]
_READ = [permitted("aml_figures.read")]


def aml_figures_router(view: AmlFigures, change: ChangeAmlFigures) -> APIRouter:
    """Return the routes by which compliance says what the watch looks for."""
    router = APIRouter(
        prefix="/api/v1/admin/fraud/aml-figures/{profile}", tags=["staff"], responses=refusals("role_required")
    )

    @router.get("", summary="See what a profile's payments are looked through for", dependencies=_READ)
    async def get_aml_figures(profile: _Profile) -> AmlProposalAnswer:
        """Return the figures in force, who proposed and who approved them, and why."""
        found = await view.in_force(profile)
        return AmlProposalAnswer.of(found, version_in_force=found.parameters.version)

    @router.get(
        "/versions", summary="List a profile's figures", responses=refusals("cursor_invalid"), dependencies=_READ
    )
    async def get_aml_versions(profile: _Profile, limit: _Limit = 20, cursor: _Asked = None) -> AmlProposalPageAnswer:
        """Return what was proposed, and what of it is or was in force, newest first."""
        about, below = {"profile": profile}, _VERSION_MAX
        if cursor is not None:
            below = decode_cursor(cursor, about, position_max=_VERSION_MAX).position
        found, in_force = await view.page(profile, below=below, limit=limit + 1)
        page = found[:limit]
        following = None
        if len(found) > limit:
            following = encode_cursor(Cursor("next", page[-1].parameters.version), about)
        return AmlProposalPageAnswer(
            proposals=[AmlProposalAnswer.of(one, version_in_force=in_force) for one in page], next=following
        )

    @router.post(
        "/versions",
        status_code=201,
        summary="Propose figures",
        responses=refusals("aml_figures_contradict", "number_not_whole"),
    )
    async def post_aml_version(
        profile: _Profile,
        body: AmlProposalBody,
        _principal: Annotated[Principal, permitted("aml_figures.propose")],
        request: Request,
    ) -> AmlProposalAnswer:
        """Store all figures of a profile. They judge nothing until a colleague approves them."""
        proposal = await change.propose(
            asker=asker_of(request), profile=profile, figures=body.figures.parameters(), reason=body.reason
        )
        return AmlProposalAnswer.of(proposal, version_in_force=0)

    @router.post(
        "/versions/{version}/approve",
        summary="Put a colleague's figures in force",
        responses=refusals(
            "aml_figures_not_found",
            "own_aml_figures",
            "aml_figures_approved",
            "aml_figures_superseded",
            "aml_figures_void",
        ),
    )
    async def post_aml_approval(
        profile: _Profile,
        version: _Version,
        body: AmlApprovalBody,
        _principal: Annotated[Principal, permitted("aml_figures.approve")],
        request: Request,
    ) -> AmlProposalAnswer:
        """Judge by them from the next payments on, a second at most. What was judged before is not judged again."""
        approved = await change.approve(asker=asker_of(request), profile=profile, version=version, reason=body.reason)
        return AmlProposalAnswer.of(approved, version_in_force=version)

    return router
