"""The staff's side of the shadow over HTTP, and what judges there, beside one office."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import httpx2

from libs.common.db.engine import make_engine
from libs.common.db.hot import HotConnection
from libs.common.db.reading import Reading
from libs.common.ids import new_id
from services.fraud.app import rule_routers
from services.fraud.use_cases.judge_in_shadow import JudgeInShadow
from tests.integration.fraud.office import Office
from tests.support.api_world import TokenKeys, http_client, unit_of_work

PATH = "/api/v1/admin/fraud/rulesets"


class ShadowRoom:
    """Moves rule sets by HTTP, judges what waits, and asks for comparisons. Time is the office's."""

    def __init__(self, office: Office, http: httpx2.AsyncClient, keys: TokenKeys, hot: HotConnection) -> None:
        self.office = office
        self.http = http
        self.keys = keys
        self.judge = JudgeInShadow(office.screen.shadows, hot, lane=0)
        self.author = keys.bearer(new_id(), "compliance")
        self.colleague = keys.bearer(new_id(), "compliance")

    async def write(self, document: str) -> int:
        answer = await self.http.post(PATH, headers=self.author, json={"document": document, "reason": "tried"})
        assert answer.status_code == 201, answer.text
        version: int = answer.json()["version"]
        return version

    async def try_to_move(self, version: int, how: str, who: dict[str, str] | None = None) -> httpx2.Response:
        answer = await self.http.post(f"{PATH}/{version}/{how}", headers=who or self.author, json={"reason": "tried"})
        self.office.screening.look_again()
        return answer

    async def move(self, version: int, how: str, who: dict[str, str] | None = None) -> dict[str, Any]:
        answer = await self.try_to_move(version, how, who)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def put_live(self, version: int) -> None:
        await self.move(version, "approve", self.colleague)
        await self.move(version, "live")

    async def ask(self, version: int, what: str, first: date, last: date, **more: Any) -> httpx2.Response:
        query = {"start_date": str(first), "end_date": str(last), **more}
        return await self.http.get(f"{PATH}/{version}/{what}", headers=self.author, params=query)

    async def compare(self, version: int, first: date, last: date) -> dict[str, Any]:
        answer = await self.ask(version, "shadow", first, last)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def changed(self, version: int, first: date, last: date, *, limit: int = 100) -> list[dict[str, Any]]:
        """Follow the cursors to the last page."""
        found: list[dict[str, Any]] = []
        query: dict[str, Any] = {"limit": limit}
        while True:
            answer = await self.ask(version, "shadow/changed", first, last, **query)
            assert answer.status_code == 200, answer.text
            found += answer.json()["decisions"]
            if answer.json()["next"] is None:
                return found
            query["cursor"] = answer.json()["next"]


@asynccontextmanager
async def shadow_room(office: Office, admin_dsn: str, folder: Path) -> AsyncIterator[ShadowRoom]:
    """Give the room of this office."""
    keys, engine = TokenKeys(folder), make_engine(office.dsn, "fraud-test")
    hot = HotConnection(office.dsn, "fraud-shadow-test")
    async with unit_of_work(admin_dsn, "fraud", office.publisher) as uow:
        routers = rule_routers(Reading(engine), uow, office.origins, lambda: office.now)
        async with http_client("fraud", routers, keys) as http:
            yield ShadowRoom(office, http, keys, hot)
    await hot.close()
    await engine.dispose()
