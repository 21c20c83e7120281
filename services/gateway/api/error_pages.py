"""GET /errors and /errors/{code}: what each code means and what to do, where a problem document's `type` leads."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse
from markdown_it import MarkdownIt

from libs.common.errors import NotFound
from libs.common.http.error_codes import error_codes, operations_by_code, render_index, render_page
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from services.gateway.api.merged_openapi import ApiDocument

_PUBLIC: Final = [permitted("api.read")]
_markdown: Final = MarkdownIt("commonmark", {"html": False}).enable("table")


def error_pages_router(document: ApiDocument) -> APIRouter:
    """Return the routes; `document` knows which operations name a code."""
    router = APIRouter(prefix="/errors", tags=["documents"], dependencies=_PUBLIC, default_response_class=HTMLResponse)

    @router.get("", summary="All error codes")
    async def show_index() -> HTMLResponse:
        """Return the table of all codes, with a link to the page of each."""
        return _page("Errors", render_index().replace(".md)", ")").replace("](", "](/errors/"))

    @router.get("/{code}", summary="What an error code means", responses=refusals("route_not_found"))
    async def show_code(
        request: Request,
        code: Annotated[str, Path(max_length=80, description="the `code` of a problem document")],
    ) -> HTMLResponse:
        """Return the page of a code: what it means, what to do, and which operations answer with it."""
        error = error_codes().get(code)
        if error is None:
            raise NotFound("route_not_found", "There is no such code.")
        return _page(code, render_page(error, operations_by_code(await document.current(request.app)).get(code, ())))

    return router


def _page(title: str, markdown: str) -> HTMLResponse:
    body = _markdown.render(markdown)
    return HTMLResponse(
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>\n{body}</html>\n'
    )
