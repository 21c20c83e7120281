"""Routes that only the services of this system may call: they show a token that all five share."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, Header
from pydantic import SecretStr

from libs.common.errors import Unauthenticated


def sisters_router(internal_token: SecretStr) -> APIRouter:
    """Return a router for `/internal/…`; no part of the public contract, so left out of OpenAPI."""
    expected = internal_token.get_secret_value().encode()

    def require_sister(x_internal_token: Annotated[str, Header()] = "") -> None:
        if not hmac.compare_digest(x_internal_token.encode(), expected):
            raise Unauthenticated("internal_token_required", "Only services of this system may ask this.")

    return APIRouter(prefix="/internal", include_in_schema=False, dependencies=[Depends(require_sister)])
