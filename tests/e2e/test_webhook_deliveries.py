"""A webhook of a running stack: signed, repeated until it is taken, in order, and replayed when asked for."""

import re
from email import message_from_bytes, policy

from tests.e2e.api_client import Api, Person, wait_until
from tests.support.webhook_receiver import Received, Receiver, webhook_receiver


def events_of(receiver: Receiver, *transfer_ids: str) -> list[tuple[str, str]]:
    found = [(received.event["data"].get("transfer_id"), received.event["type"]) for received in receiver.taken]
    return [event for event in found if event[0] in transfer_ids]


def test_a_webhook_arrives_signed_after_a_failure_in_order_and_again_when_asked(
    api: Api, alice: Person, bob: Person
) -> None:
    with webhook_receiver() as receiver:
        made = api.post("/webhooks", {"url": receiver.url}, token=alice.token)
        assert made.status_code == 201, made.text
        path, secret = f"/webhooks/{made.json()['webhook_id']}", made.json()["secret"]
        failed: list[str] = []

        def fail_once(received: Received) -> int:
            if received.event["type"] == "transfer.held" and not failed:
                failed.append(received.event["id"])
                return 500
            return 204

        receiver.answer = fail_once
        body = {
            "source_account_id": alice.account_id,
            "destination_account_id": bob.account_id,
            "amount_minor": 7,
            "asset": "USD",
            "hold": True,
        }
        held = api.post("/transfers", body, token=alice.token, key=f"webhook-{made.json()['webhook_id']}").json()
        transfer_id = held["transfer_id"]
        captured = api.post(f"/transfers/{transfer_id}/capture", {}, token=alice.token, key=f"capture-{transfer_id}")
        assert captured.status_code == 200, captured.text
        other = api.pay(alice, bob).json()["transfer_id"]

        wait_until("the last event", lambda: len(events_of(receiver, transfer_id)) == 3)
        wait_until("the other transfer's", lambda: len(events_of(receiver, other)) == 1)
        assert [kind for _, kind in events_of(receiver, transfer_id)] == [
            "transfer.held",
            "transfer.held",
            "transfer.posted",
        ]
        for received in receiver.taken:
            received.verified(secret)

        taken = len(receiver.taken)
        assert api.post(f"{path}/replay", {"event_id": failed[0]}, token=alice.token).json() == {"replayed": 1}
        wait_until("the replay", lambda: len(receiver.taken) > taken)
        assert receiver.taken[-1].event["id"] == failed[0]

        def statuses() -> set[str]:
            log = api.get(f"{path}/deliveries", alice.token).json()["deliveries"]
            return {delivery["status"] for delivery in log if delivery["resource_id"] in {transfer_id, other}}

        # It is noted a moment after the receiver has it.
        wait_until("everything to be noted as delivered", lambda: statuses() == {"delivered"})
        assert api.http.delete(f"/api/v1{path}", headers={"Authorization": f"Bearer {alice.token}"}).status_code == 204


def mails_to(api: Api, person: Person, subject: str) -> list[str]:
    """The texts of the mails with this subject that were spooled for somebody."""
    mails = [message_from_bytes(file.read_bytes(), policy=policy.default) for file in (api.folder / "mail").iterdir()]
    return [mail.get_content() for mail in mails if (mail["To"], mail["Subject"]) == (person.email, subject)]


def test_who_is_to_get_held_money_is_told_by_mail(api: Api, alice: Person, bob: Person) -> None:
    wait_until("the first mail", lambda: bool(mails_to(api, bob, "Verify your e-mail")))
    [token] = re.findall(r"^[\w-]{43}$", mails_to(api, bob, "Verify your e-mail")[0], re.MULTILINE)
    assert api.post("/auth/verify-email", {"token": token}).status_code == 204
    body = {"source_account_id": alice.account_id, "destination_account_id": bob.account_id, "asset": "USD"}
    held = api.post("/transfers", {**body, "amount_minor": 1234, "hold": True}, token=alice.token, key=f"told-{token}")
    transfer_id = held.json()["transfer_id"]

    def told() -> list[str]:
        return [text for text in mails_to(api, bob, "Money is on its way to you") if transfer_id in text]

    wait_until("the mail", lambda: bool(told()))
    assert "12.34 USD" in told()[0]
    assert api.post(f"/transfers/{transfer_id}/void", {}, token=alice.token, key=f"void-{token}").status_code == 200
