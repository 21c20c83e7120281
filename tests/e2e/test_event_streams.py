"""Events as a customer's own program follows them: over a real connection, with a look at what it missed."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2

from tests.e2e.api_client import Api, Person


class Followed:
    """A stream as it is read, line by line."""

    def __init__(self, answer: httpx2.Response) -> None:
        assert answer.status_code == 200, answer.read()
        self.answer = answer
        self.lines = answer.iter_lines()
        self.last_id = ""
        self.next_block()  # `ready`, from which the stream can be resumed

    def next_block(self) -> dict[str, str]:
        block: dict[str, str] = {}
        for line in self.lines:
            if not line and block:
                self.last_id = block.get("id", self.last_id)
                return block
            name, _, value = line.partition(": ")
            block[name] = value
        raise AssertionError("the stream has ended")

    def next_event(self) -> dict[str, Any]:
        """Return the next event's document that is no deposit; the connection's own timeout bounds the wait.

        What was decided right before a stream began may be told still.
        """
        while True:
            block = self.next_block()
            document: dict[str, Any] = json.loads(block.get("data", "{}"))
            if document.get("data", {}).get("kind") == "transfer":
                assert document["type"] == block["event"]
                return document


@contextmanager
def following(api: Api, person: Person, last_id: str = "", **filters: Any) -> Iterator[Followed]:
    headers: Mapping[str, str] = {"Last-Event-ID": last_id} if last_id else {}
    asked = {"Authorization": f"Bearer {person.token}", **headers}
    with api.http.stream("GET", "/api/v1/events", params=filters, headers=asked, timeout=30) as answer:
        yield Followed(answer)


def test_a_payer_follows_his_transfers_and_resumes_where_he_was(
    api: Api, alice: Person, bob: Person, stranger: Person
) -> None:
    with following(api, alice) as stream, following(api, stranger) as other:
        first = api.pay(alice, bob).json()["transfer_id"]
        event = stream.next_event()
        assert (event["type"], event["data"]["transfer_id"]) == ("transfer.posted", first)
        assert event["data"]["account_ids"] == [alice.account_id]
        api.pay(stranger, bob)
        assert other.next_event()["data"]["account_ids"] == [stranger.account_id], "nothing of alice's came before"
    missed = [api.pay(alice, bob, amount).json()["transfer_id"] for amount in (2, 3)]
    with following(api, alice, last_id=stream.last_id) as again:
        assert [again.next_event()["data"]["transfer_id"] for _ in missed] == missed
        last = api.pay(alice, bob, 4).json()["transfer_id"]
        assert again.next_event()["data"]["transfer_id"] == last


def test_a_stream_needs_a_token(api: Api) -> None:
    assert api.get("/events").status_code == 401
