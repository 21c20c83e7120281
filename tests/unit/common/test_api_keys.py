"""A key is worth what accounts says, for a minute at most, and nothing once it is revoked."""

import asyncio
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
import pytest

from libs.common.clock import to_rfc3339
from libs.common.contracts.accounts import CredentialsRevoked
from libs.common.errors import Forbidden, Unauthenticated, Unavailable
from libs.common.http.api_keys import KeyFacts, KnownKeys, key_text, secret_hash
from libs.common.http.auth import AskFirst
from libs.common.http.revocations import Revocations

KEY_ID = "01a2b3c4-0000-7000-8000-000000000001"
SECRET = urlsafe_b64encode(b"s" * 32).rstrip(b"=").decode()
TEXT = key_text(KEY_ID, SECRET)
FACTS = KeyFacts(
    key_id=KEY_ID,
    user_id="ada",
    roles=["customer"],
    scopes=["accounts:read"],
    networks=[],
    expires_at=10_000.0,
    is_machine=True,
)


@dataclass
class World:
    """An owner of keys, a clock and what asks both."""

    facts: KeyFacts | None = FACTS
    is_away: bool = False
    asked: int = 0
    seconds: float = 1_000.0
    revocations: Revocations = field(default_factory=Revocations)

    def __post_init__(self) -> None:
        self.keys = KnownKeys(self, self.revocations, lambda: self.seconds)

    async def find_key(self, key_id: str, secret_sha256: str) -> KeyFacts | None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise Unavailable("credentials_unknown", "Away.")
        return self.facts if (key_id, secret_sha256) == (KEY_ID, secret_hash(SECRET).hex()) else None

    def revoke(self, *, behind_seconds: float = 0.0, **names: str) -> None:
        """Say that something ends now, by a clock that is so far behind ours."""
        moment = to_rfc3339(datetime.fromtimestamp(self.seconds - behind_seconds, UTC))
        known = {"user_id": "ada", "session_id": "", "key_id": ""}
        self.revocations.take(CredentialsRevoked(occurred_at=moment, **(known | names)))


@pytest.fixture
def world() -> World:
    return World()


async def test_what_accounts_said_holds_for_a_minute_without_asking_again(world: World) -> None:
    with pytest.raises(AskFirst):
        world.keys.look_up(TEXT, "192.0.2.1")
    await world.keys.ask(TEXT, "192.0.2.1")
    world.seconds += 60
    principal = world.keys.look_up(TEXT, "192.0.2.1")
    assert (principal.user_id, principal.roles, principal.scopes) == (
        "ada",
        frozenset({"customer"}),
        frozenset({"accounts:read"}),
    )
    assert (principal.key_id, principal.is_machine, world.asked) == (KEY_ID, True, 1)
    world.seconds += 1
    with pytest.raises(AskFirst):
        world.keys.look_up(TEXT, "192.0.2.1")


async def test_many_who_wait_for_the_same_key_ask_once(world: World) -> None:
    await asyncio.gather(*(world.keys.ask(TEXT, "192.0.2.1") for _ in range(20)))
    assert world.asked == 1


OTHER_SECRET = urlsafe_b64encode(b"t" * 32).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "text",
    [
        key_text(KEY_ID, OTHER_SECRET),
        key_text("01a2b3c4-0000-7000-8000-000000000002", SECRET),
        TEXT[:-1],
        TEXT + "=",
        TEXT.upper(),
        "tsk_",
        "tsk_" + "é" * 32 + "_" + SECRET,
    ],
)
async def test_a_key_that_is_not_exactly_ours_is_refused(world: World, text: str) -> None:
    await world.keys.ask(TEXT, "192.0.2.1")
    with pytest.raises(Unauthenticated) as refused:
        await world.keys.ask(text, "192.0.2.1")
    assert refused.value.code == "api_key_invalid"


async def test_a_revoked_key_is_refused_at_once_and_a_user_s_other_revocations_are_asked_about(world: World) -> None:
    await world.keys.ask(TEXT, "192.0.2.1")
    world.revoke()
    with pytest.raises(AskFirst):
        world.keys.look_up(TEXT, "")
    world.seconds += 1
    await world.keys.ask(TEXT, "192.0.2.1")
    world.keys.look_up(TEXT, "")
    world.revoke(key_id=KEY_ID)
    with pytest.raises(Unauthenticated):
        world.keys.look_up(TEXT, "")


async def test_a_revocation_heard_while_accounts_is_asked_makes_the_answer_old(world: World) -> None:
    asking = asyncio.create_task(world.keys.ask(TEXT, "192.0.2.1"))
    await asyncio.sleep(0)
    world.revoke()
    await asking
    with pytest.raises(AskFirst):
        world.keys.look_up(TEXT, "")


async def test_a_revocation_counts_though_the_clock_of_accounts_is_behind(world: World) -> None:
    await world.keys.ask(TEXT, "192.0.2.1")
    world.revoke(behind_seconds=30)
    with pytest.raises(AskFirst):
        world.keys.look_up(TEXT, "")
    await world.keys.ask(TEXT, "192.0.2.1")
    world.keys.look_up(TEXT, "")


async def test_a_clock_that_is_set_back_keeps_no_key_for_longer(world: World) -> None:
    await world.keys.ask(TEXT, "192.0.2.1")
    world.seconds -= 3_600
    with pytest.raises(AskFirst):
        world.keys.look_up(TEXT, "")


async def test_a_key_ends_when_its_time_is_over(world: World) -> None:
    world.facts = msgspec.structs.replace(FACTS, expires_at=1_030.0)
    await world.keys.ask(TEXT, "192.0.2.1")
    world.seconds = 1_030.0
    with pytest.raises(Unauthenticated):
        world.keys.look_up(TEXT, "")


async def test_without_accounts_an_unknown_key_is_worth_nothing_and_a_known_one_its_minute(world: World) -> None:
    await world.keys.ask(TEXT, "192.0.2.1")
    world.is_away = True
    world.keys.look_up(TEXT, "")
    world.seconds += 61
    with pytest.raises(Unavailable):
        await world.keys.ask(TEXT, "192.0.2.1")


NETWORKS = ["198.51.100.0/24", "2001:db8::/32"]


@pytest.mark.parametrize("address", ["198.51.100.7", "::ffff:198.51.100.7", "2001:db8:1::5"])
async def test_a_key_is_used_from_its_networks(world: World, address: str) -> None:
    world.facts = msgspec.structs.replace(FACTS, networks=NETWORKS)
    await world.keys.ask(TEXT, "192.0.2.1")
    world.keys.look_up(TEXT, address)


@pytest.mark.parametrize("address", ["203.0.113.1", "2001:db9::1", "", "unknown"])
async def test_a_key_is_not_used_from_elsewhere(world: World, address: str) -> None:
    world.facts = msgspec.structs.replace(FACTS, networks=NETWORKS)
    await world.keys.ask(TEXT, "192.0.2.1")
    with pytest.raises(Forbidden) as refused:
        world.keys.look_up(TEXT, address)
    assert refused.value.code == "address_not_allowed"


class Busy(World):
    """Answers nobody before it is told to."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.answering = asyncio.Event()

    async def find_key(self, key_id: str, secret_sha256: str) -> KeyFacts | None:
        await self.answering.wait()
        return await super().find_key(key_id, secret_sha256)


OTHERS = [key_text(f"01a2b3c4-0000-7000-8000-{number:012}", OTHER_SECRET) for number in range(33)]


async def test_no_more_keys_are_asked_about_at_once_than_accounts_can_bear() -> None:
    world = Busy()
    asking = [
        asyncio.create_task(world.keys.ask(text, f"192.0.2.{number // 4}")) for number, text in enumerate(OTHERS[:32])
    ]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await world.keys.ask(OTHERS[32], "192.0.2.9")
    world.answering.set()
    assert all(isinstance(one, Unauthenticated) for one in await asyncio.gather(*asking, return_exceptions=True))


async def test_who_makes_up_keys_does_not_crowd_out_those_of_others() -> None:
    world = Busy()
    made_up = [asyncio.create_task(world.keys.ask(text, "192.0.2.1")) for text in OTHERS]
    await asyncio.sleep(0)
    real = asyncio.create_task(world.keys.ask(TEXT, "192.0.2.2"))
    await asyncio.sleep(0)
    world.answering.set()
    await real
    assert world.keys.look_up(TEXT, "192.0.2.2").user_id == "ada"
    found = await asyncio.gather(*made_up, return_exceptions=True)
    assert sum(isinstance(one, Unavailable) for one in found) == len(OTHERS) - 4
