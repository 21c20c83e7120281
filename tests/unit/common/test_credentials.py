"""A process believes nobody before it knows what was revoked, and asks again for what the bus did not bring."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from libs.common.contracts.accounts import CredentialsRevoked
from libs.common.errors import Unavailable
from libs.common.http.api_keys import KeyFacts
from libs.common.http.credential_owner import RevokedPage
from libs.common.http.credentials import Credentials
from tallystick.stack.jwks import key_set

AS_OF = "2026-03-01T09:30:00.000000Z"
BEFORE = "2026-03-01T09:29:30.000000Z"


def of_session(session_id: str) -> CredentialsRevoked:
    return CredentialsRevoked(user_id="ada", session_id=session_id, key_id="", occurred_at=AS_OF)


@dataclass
class Owner:
    """Answers with the pages it has, and notes what it was asked."""

    pages: dict[str, RevokedPage]
    asked: list[tuple[str, str]] = field(default_factory=list)
    is_away: bool = False

    async def revoked(self, *, since: str, after: str) -> RevokedPage:
        if self.is_away:
            raise Unavailable("credentials_unknown", "Away.")
        self.asked.append((since, after))
        return self.pages[after]

    async def find_key(self, key_id: str, secret_sha256: str) -> KeyFacts | None: ...

    async def close(self) -> None: ...


@pytest.fixture
def owner() -> Owner:
    first = RevokedPage(as_of=AS_OF, revocations=[of_session("s1")], next_after="one more")
    return Owner({"": first, "one more": RevokedPage(as_of="later", revocations=[of_session("s2")], next_after="")})


@pytest.fixture
def credentials(tmp_path: Path, owner: Owner) -> Credentials:
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps(key_set(Ed25519PrivateKey.generate().public_key())))
    return Credentials(jwks, owner)


async def test_a_process_that_has_just_started_believes_nobody_until_it_was_told(
    credentials: Credentials, owner: Owner
) -> None:
    owner.is_away = True
    with pytest.raises(Unavailable):
        await credentials.look()
    assert not credentials.revocations.are_known
    owner.is_away = False
    await credentials.look()
    assert credentials.revocations.are_known


async def test_every_page_is_read_and_the_next_look_overlaps_the_last(credentials: Credentials, owner: Owner) -> None:
    await credentials.look()
    await credentials.look()
    assert owner.asked == [("", ""), ("", "one more"), (BEFORE, ""), (BEFORE, "one more")]
    assert [credentials.revocations.names(name) for name in ("s1", "s2", "s3")] == [True, True, False]


async def test_an_owner_who_is_away_takes_nothing_back(credentials: Credentials, owner: Owner) -> None:
    await credentials.look()
    owner.is_away = True
    with pytest.raises(Unavailable):
        await credentials.look()
    assert credentials.revocations.are_known
    assert credentials.revocations.names("s1")


async def test_an_owner_who_is_not_there_is_logged_once_and_warned_of_after_ten_seconds(
    credentials: Credentials, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("libs.common.http.credentials.monotonic_seconds", lambda: now)

    async def said(times: int = 3) -> list[tuple[str, str]]:
        with capture_logs() as lines:
            for _ in range(times):
                await credentials._look_and_tell()
        return [(line["log_level"], line["event"]) for line in lines]

    owner.is_away = True
    assert await said() == [("info", "revocations_not_read")], "at a start others may come up later"
    now += 9.9
    assert await said() == []
    now += 0.1
    assert await said() == [("warning", "revocations_not_read")]
    owner.is_away = False
    assert await said() == [("info", "revocations_read")]
    owner.is_away = True
    assert await said() == [("warning", "revocations_not_read")], "once it had been read it is no start any more"
    now += 60
    assert await said() == []
    owner.is_away = False
    assert await said() == [("info", "revocations_read")]
    assert await said() == []
