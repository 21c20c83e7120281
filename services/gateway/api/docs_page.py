"""GET /docs: Swagger UI over the merged document; every asset is served here, so the policy lets in nothing else."""

from pathlib import Path
from typing import Final

import fastapi_offline
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from libs.common.errors import NotFound
from libs.common.http.gate import GuardedRoute

# The page runs two scripts, both ours. Swagger UI draws its icons from data: URLs and asks only this API.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE: Final = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Tallystick API</title>
<link rel="icon" type="image/png" href="/docs/favicon.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<div id="ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/begin.js"></script>
</html>
"""
_BEGIN: Final = b"""SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#ui",
  deepLinking: true,
  docExpansion: "none",
  persistAuthorization: false,
  validatorUrl: null,
});
"""
_FILES: Final = Path(fastapi_offline.__file__).parent / "static"
_BUNDLED: Final = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon.png": "image/png",
}
_KEPT_BY_BROWSERS: Final = "public, max-age=3600"


def docs_routes() -> list[GuardedRoute]:
    """Return the page and what it loads."""
    return [
        GuardedRoute("api.read", "/docs", _show_page, methods=["GET"]),
        GuardedRoute("api.read", "/docs/{name}", _show_asset, methods=["GET"]),
    ]


async def _show_page(request: Request) -> Response:
    request.scope["route_template"] = "/docs"
    return Response(_PAGE, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _POLICY})


async def _show_asset(request: Request) -> Response:
    request.scope["route_template"] = "/docs/{name}"
    name = request.path_params["name"]
    headers = {"Cache-Control": _KEPT_BY_BROWSERS}
    if name == "begin.js":
        return Response(_BEGIN, media_type="text/javascript; charset=utf-8", headers=headers)
    if name not in _BUNDLED:
        raise NotFound("route_not_found", "There is no such route.")
    return FileResponse(_FILES / name, media_type=_BUNDLED[name], headers=headers)
