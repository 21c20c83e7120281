"""Routes that tell digests to the services of this system."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Body, Query
from pydantic import Field, SecretStr

from libs.common.digests.digest_table import PREFIX_DIGITS, ROWS_MAX, DigestTable
from libs.common.errors import NotFound
from libs.common.http.sisters import sisters_router

_PREFIX: Final = r"^[0-9a-f]{0,10}$"
_ID: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
Prefix = Annotated[str, Query(pattern=_PREFIX)]
UpTo = Annotated[str, Query(pattern=_ID)]
Forget = Callable[[list[str]], Awaitable[None]]


def digests_router(
    internal_token: SecretStr,
    tables: Mapping[str, DigestTable],
    *,
    count_unsent: Callable[[], Awaitable[int]],
    forget: Mapping[str, Forget],
) -> APIRouter:
    """Return the routes that tell the digests of these tables.

    `count_unsent` counts outbox rows the broker should have by now. `forget` names the tables that may be rebuilt, and
    what makes the service believe again what it is told about these ids.
    """
    router = sisters_router(internal_token)

    def known(table: str) -> DigestTable:
        if table not in tables:
            raise NotFound("route_not_found", "There is no such digest.")
        return tables[table]

    @router.get("/digests-unsent")
    async def get_unsent() -> int:
        return await count_unsent()

    @router.get("/digests/{table}")
    async def get_groups(
        table: str, upto: UpTo, prefix: Prefix = "", digits: Annotated[int, Query()] = PREFIX_DIGITS[0]
    ) -> list[tuple[str, int, str]]:
        if digits not in PREFIX_DIGITS:
            raise NotFound("route_not_found", "There is no such digest.")
        groups = await known(table).groups(prefix, digits, upto)
        return [(name, group.rows, group.total) for name, group in groups.items()]

    @router.get("/digests/{table}/rows")
    async def get_rows(table: str, upto: UpTo, prefix: Prefix = "") -> dict[str, str]:
        return await known(table).rows(prefix, upto)

    @router.post("/digests/{table}/forget")
    async def post_forget(
        table: str, ids: Annotated[list[Annotated[str, Field(pattern=_ID)]], Body(max_length=ROWS_MAX)]
    ) -> None:
        if table not in forget:
            raise NotFound("route_not_found", "This table cannot be rebuilt.")
        await forget[table](ids)

    return router
