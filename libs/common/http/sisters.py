"""Routes that only the services of this system may call: they show a token that all five share."""

import hmac
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header
from pydantic import SecretStr

from libs.common.errors import Unauthenticated
from libs.common.http.gate import BY_SISTERS, Gate


class SistersGate(Gate):
    """Lets in who shows the token."""

    def __init__(self, internal_token: SecretStr) -> None:
        """Know the token."""
        super().__init__(BY_SISTERS)
        self._expected: Final = internal_token.get_secret_value().encode()

    def __call__(self, x_internal_token: Annotated[str, Header()] = "") -> None:
        """Raises: Unauthenticated internal_token_required."""
        if not self.knows(x_internal_token):
            raise Unauthenticated("internal_token_required", "Only services of this system may ask this.")

    def knows(self, shown: str) -> bool:
        """Tell whether this is the token."""
        return bool(shown) and hmac.compare_digest(shown.encode(), self._expected)


def sisters_router(internal_token: SecretStr) -> APIRouter:
    """Return a router for `/internal/…`; no part of the public contract, so left out of OpenAPI."""
    return APIRouter(prefix="/internal", include_in_schema=False, dependencies=[Depends(SistersGate(internal_token))])
