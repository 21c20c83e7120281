"""Streams of events: who reconnects misses nothing and hears nothing twice, and nobody listens longer than he may."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import pytest
from fastapi import FastAPI

from libs.common.clock import to_rfc3339, unix_seconds
from libs.common.contracts.accounts import CredentialsRevoked
from libs.common.http.app import make_app
from libs.common.http.auth import TokenVerifier
from libs.common.http.health import Health
from libs.common.http.revocations import Revocations
from services.gateway.api import events as events_api
from services.gateway.api.events import events_router
from services.gateway.domain.events import KEPT_FOR
from services.gateway.use_cases import tell_events
from services.gateway.use_cases.keep_events import PruneEvents
from services.gateway.use_cases.tell_events import PER_USER_MAX, EventStreams
from tests.integration.gateway.counter import Counter
from tests.integration.gateway.listening import Listening, opened


class Served(Listening):
    """A gateway that serves streams, and how its tokens are ended."""

    def __init__(self, counter: Counter) -> None:
        super().__init__(counter)
        self.streams = EventStreams(counter.connections["repeats"], counter.clock)
        self.revocations = Revocations()
        self.late_seconds = 0.0
        self.app = self.make()

    def make(self) -> FastAPI:
        @asynccontextmanager
        async def nothing(_app: FastAPI) -> AsyncIterator[None]:
            yield

        verifier = TokenVerifier(
            self.counter.keys.jwks_file, self.revocations, lambda: unix_seconds() + self.late_seconds
        )
        return make_app(
            service="gateway",
            title="gateway",
            description="gateway",
            version="1",
            routers=[events_router(self.streams)],
            lifespan=nothing,
            health=Health(),
            verifier=verifier,
        )

    def payer_token(self) -> dict[str, str]:
        return self.counter.keys.bearer(self.payer.owner_id)

    async def happens(self, status: str = "posted", version: int = 1, transfer_id: str = "") -> str:
        transfer_id = transfer_id or await self.sent()
        await self.keep.transfers([self.said(transfer_id, status, version)])
        return transfer_id


@pytest.fixture
async def served(counter: Counter) -> AsyncIterator[Served]:
    served = Served(counter)
    running = asyncio.create_task(served.streams.run())
    yield served
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_stream_tells_what_happens_while_it_is_open_to_the_parties_alone(served: Served) -> None:
    stranger = served.counter.keys.bearer(served.counter.knows_customer().owner_id, "customer", "admin", "auditor")
    async with opened(served.app, served.payer_token()) as stream, opened(served.app, stranger) as other:
        assert stream.status == 200
        transfer_id = await served.happens()
        [event] = await stream.until(1)
        assert (event["event"], event["data"]["transfer_id"]) == ("transfer.posted", transfer_id)
        await asyncio.sleep(3 * tell_events._LOOK_SECONDS)
        assert other.events() == [], "being staff gives nobody the events of others"


async def test_whoever_comes_back_is_told_what_he_missed_once(served: Served) -> None:
    async with opened(served.app, served.payer_token()) as stream:
        first = await served.happens()
        await stream.until(1)
    missed = [await served.happens() for _ in range(3)]
    async with opened(served.app, served.payer_token(), last_id=stream.last_id()) as again:
        await again.until(3)
        last = await served.happens()
        heard = await again.until(4)
    assert [event["data"]["transfer_id"] for event in heard] == [*missed, last]
    assert first not in missed
    assert not any(event["event"] == "stream.gap" for event in heard)


async def test_a_resumed_stream_pages_through_what_was_missed_while_more_comes(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tell_events, "_PAGE", 2)
    async with opened(served.app, served.payer_token()) as stream:
        start = stream.last_id()
        expected = [await served.happens() for _ in range(7)]
        await stream.until(7)
        async with opened(served.app, served.payer_token(), last_id=start) as again:
            expected += [await served.happens() for _ in range(3)]
            heard = await again.until(10)
            both = await stream.until(10)
    assert [event["data"]["transfer_id"] for event in heard] == expected
    assert heard == both


async def test_filters_let_pass_what_was_asked_for(served: Served) -> None:
    mine, theirs = served.payer.account_id, served.payee.account_id
    token = served.payer_token()
    async with (
        opened(served.app, token, type=["transfer.voided", "transfer.refused"]) as by_type,
        opened(served.app, token, account_id=[mine]) as by_account,
        opened(served.app, token, account_id=[theirs]) as by_another,
    ):
        transfer_id = await served.happens("held")
        await served.happens("voided", 2, transfer_id)
        assert [event["event"] for event in await by_account.until(2)] == ["transfer.held", "transfer.voided"]
        assert [event["event"] for event in await by_type.until(1)] == ["transfer.voided"]
        assert by_another.events() == [], "the other party's account is not one of his"
    async with opened(served.app, token, type="transfer.lost") as refused:
        assert refused.status == 422


async def test_who_was_away_for_too_long_is_told_that_there_is_a_gap(served: Served) -> None:
    clock = served.counter.clock
    async with opened(served.app, served.payer_token()) as stream:
        early = stream.last_id()
        await served.happens()
        await stream.until(1)
    clock.move(KEPT_FOR + timedelta(days=1))
    kept = await served.happens()
    clock.move(timedelta(hours=1))
    await PruneEvents(served.counter.connections["lookup"], clock)()
    async with opened(served.app, served.payer_token(), last_id=early) as again:
        gap, event = await again.until(2)
    assert gap["event"] == "stream.gap"
    assert event["data"]["transfer_id"] == kept
    async with opened(served.app, served.payer_token(), last_id=again.last_id()) as caught_up:
        assert caught_up.events() == []
    async with opened(served.app, served.payer_token(), last_id=str(10**17)) as foreign:
        assert [event["event"] for event in await foreign.until(1)] == ["stream.gap"]
    async with opened(served.app, served.payer_token(), last_id="-1") as refused:
        assert refused.status == 422


@pytest.mark.parametrize("why", ["expired", "revoked", "stopping"])
async def test_a_stream_ends_with_the_right_to_listen_and_with_the_server(why: str, served: Served) -> None:
    async with opened(served.app, served.payer_token()) as stream:
        match why:
            case "expired":
                served.late_seconds = 3600
            case "revoked":
                now = to_rfc3339(served.counter.clock() + timedelta(seconds=1))
                served.revocations.take(
                    CredentialsRevoked(user_id=served.payer.owner_id, session_id="", key_id="", occurred_at=now)
                )
            case _:
                served.app.state.is_stopping = True
        await stream.ended()


async def test_streams_are_bounded_and_an_ended_one_leaves_its_place(served: Served) -> None:
    token = served.payer_token()
    async with AsyncExitStack() as stack:
        for _ in range(PER_USER_MAX):
            await stack.enter_async_context(opened(served.app, token))
        async with opened(served.app, token) as refused:
            assert refused.status == 429
            assert '"too_many_streams"' in refused.text
        async with opened(served.app, served.counter.keys.bearer(served.payee.owner_id)) as other:
            assert other.status == 200
    async with opened(served.app, token) as again:
        assert again.status == 200


async def test_who_does_not_read_is_dropped_and_loses_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tell_events, "WAITING_MAX", 2)
    monkeypatch.setattr(events_api, "_SEND_SECONDS", 0.5)
    async with opened(served.app, served.payer_token()) as slow:
        start = slow.last_id()
        slow.takes.clear()
        expected = [await served.happens() for _ in range(6)]
        async with asyncio.timeout(20):
            while served.streams._streams:  # noqa: ASYNC110 -- what is waited for knows of no test
                await asyncio.sleep(0.01)
    async with opened(served.app, served.payer_token(), last_id=start) as again:
        heard = await again.until(6)
    assert [event["data"]["transfer_id"] for event in heard] == expected


async def test_a_quiet_stream_moves_its_readers_position_on(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others' events make the positions go on; who resumes from an old one would seem to have missed something."""
    monkeypatch.setattr(events_api, "_PING_SECONDS", 0.0)
    monkeypatch.setattr(events_api, "_CHECK_SECONDS", 0.1)
    quiet = served.counter.keys.bearer(served.counter.knows_customer().owner_id)
    async with opened(served.app, quiet) as stream, opened(served.app, served.payer_token()) as other:
        begun = int(stream.last_id())
        await served.happens()
        await other.until(1)
        async with asyncio.timeout(20):
            while int(stream.last_id()) <= begun:  # noqa: ASYNC110 -- what is waited for knows of no test
                await asyncio.sleep(0.01)
        assert stream.last_id() == other.last_id()
