"""A file of two thousand transfers, whose gateway is killed in the middle: nothing is lost, nothing done twice."""

import csv
import io
import time
from typing import Any

import httpx2

from tests.e2e.api_client import Api, Person, kill, new_key

LINES = 2_000
PATIENCE_SECONDS = 150.0


def progress_of(api: Api, person: Person, batch_id: str) -> dict[str, Any] | None:
    """Return how far the batch is; None while the gateway is away."""
    try:
        answer = api.get(f"/batches/{batch_id}", person.token)
    except httpx2.HTTPError:
        return None
    shown: dict[str, Any] | None = answer.json() if answer.status_code == 200 else None
    return shown


def until(api: Api, person: Person, batch_id: str, what: str, fulfilled: Any) -> dict[str, Any]:
    ends_at = time.monotonic() + PATIENCE_SECONDS
    shown = None
    while time.monotonic() < ends_at:
        shown = progress_of(api, person, batch_id)
        if shown is not None and fulfilled(shown):
            return shown
        time.sleep(0.05)
    raise AssertionError(f"{what}: {shown}")


def test_a_file_survives_the_gateway_that_works_on_it(api: Api, alice: Person, bob: Person) -> None:
    before = api.balance_minor(alice), api.balance_minor(bob)
    rows = "".join(f"{alice.account_id},{bob.account_id},{1 + number % 3},USD\n" for number in range(LINES))
    content = f"source_account_id,destination_account_id,amount_minor,asset\n{rows}".encode()
    headers = {"Authorization": f"Bearer {alice.token}", "Content-Type": "text/csv", "Idempotency-Key": new_key()}
    sent = api.http.post("/api/v1/batches", content=content, headers=headers)
    assert sent.status_code == 202, sent.text
    batch_id = sent.json()["batch_id"]

    until(api, alice, batch_id, "a piece is done", lambda shown: shown["accepted"] + shown["posted"] > 0)
    kill(api, "gateway")
    done = until(
        api,
        alice,
        batch_id,
        "everything is decided",
        lambda shown: shown["status"] == "done" and shown["accepted"] == 0,
    )
    assert (done["lines"], done["posted"], done["failed"]) == (LINES, LINES, 0), done

    found = api.http.get(
        f"/api/v1/batches/{batch_id}/results", headers={"Authorization": f"Bearer {alice.token}", "Accept": "text/csv"}
    )
    table = list(csv.DictReader(io.StringIO(found.text)))
    assert [int(one["line"]) for one in table] == list(range(2, LINES + 2))
    assert len({one["transfer_id"] for one in table}) == LINES
    moved = sum(1 + number % 3 for number in range(LINES))
    assert (before[0] - api.balance_minor(alice), api.balance_minor(bob) - before[1]) == (moved, moved)
