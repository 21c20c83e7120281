"""One stack for the whole lane, with rate limits off, and the people who use it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.api_client import Api, Person
from tests.support.otlp_receiver import OtlpReceiver, otlp_receiver
from tests.support.stack import RunningStack


@pytest.fixture(scope="session")
def otlp() -> Iterator[OtlpReceiver]:
    """Give what the stack sends its spans to."""
    with otlp_receiver() as receiver:
        yield receiver


@contextmanager
def own_stack(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Api]:
    """Run a stack with rate limits off, for as long as the block."""
    with RunningStack(folder, "--no-rate-limits", environment=environment) as stack:
        api = Api(stack.stack, stack.folder)
        yield api
        api.http.close()


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory, otlp: OtlpReceiver) -> Iterator[Api]:
    endpoints = {f"{service}_OTLP_ENDPOINT": otlp.endpoint for service in ("GATEWAY", "FRAUD", "LEDGER")}
    folder = tmp_path_factory.mktemp("e2e") / "data"
    with own_stack(folder, endpoints) as api:
        yield api


@pytest.fixture(scope="module")
def alice(api: Api) -> Person:
    """Has money; each module gets its own, because a customer may send fifty transfers an hour."""
    alice = api.person("alice", funds_minor=1_000_000)
    changed = api.http.put(
        f"/api/v1/admin/users/{alice.user_id}/profile",
        json={"profile": "business"},
        headers={"Authorization": f"Bearer {api.admin_token}"},
    )
    assert changed.status_code == 200, changed.text
    return alice


@pytest.fixture(scope="session")
def bob(api: Api) -> Person:
    """Is paid."""
    return api.person("bob")


@pytest.fixture(scope="session")
def stranger(api: Api) -> Person:
    """Has nothing to do with the others, and one dollar."""
    return api.person("stranger", funds_minor=100)
