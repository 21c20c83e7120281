"""The example of docs/webhooks.md does what the document says, and the document names every type of event."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from cryptography.fernet import Fernet

from libs.common.clock import system_clock
from services.gateway.domain.events import EVENT_TYPES, TransferHappened, webhook_test_event
from services.gateway.webhook_secrets import WebhookSecrets

DOCUMENT = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
EXAMPLES = [msgspec.json.decode(text) for text in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)]


def receiver() -> Callable[..., int]:
    names: dict[str, Any] = {}
    exec(CODE[0], names)  # noqa: S102 -- it is what the document tells people to write
    found: Callable[..., int] = names["receive"]
    return found


def test_the_example_takes_what_we_sign_once_and_refuses_everything_else(tmp_path: Path, capsys: Any) -> None:
    keys = tmp_path / "webhooks.keys"
    keys.write_bytes(Fernet.generate_key())
    secrets = WebhookSecrets(keys)
    secret, sealed = secrets.make()
    other, _ = secrets.make()
    now = system_clock()
    event = webhook_test_event("an-id", user_id="u", webhook_id="w", occurred_at="2026-03-01T09:30:00.000000Z")
    headers = {
        "webhook-id": event.event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": secrets.sign((sealed,), event.event_id, now, event.payload),
    }
    seen: set[str] = set()
    receive = receiver()
    assert receive(headers, event.payload, secret, seen) == 204
    assert receive(headers, event.payload, secret, seen) == 204
    assert capsys.readouterr().out.count("webhook.test") == 1
    assert receive(headers, event.payload + b" ", secret, seen) == 400
    assert receive(headers, event.payload, other, seen) == 400
    late = datetime(2026, 1, 1, tzinfo=UTC)
    old = {**headers, "webhook-timestamp": str(int(late.timestamp()))}
    old["webhook-signature"] = secrets.sign((sealed,), event.event_id, late, event.payload)
    assert receive(old, event.payload, secret, seen) == 400


def test_the_document_names_every_type_and_its_example_is_what_is_sent() -> None:
    assert [kind for kind in EVENT_TYPES if f"`{kind}`" not in DOCUMENT] == []
    shown = EXAMPLES[0]["data"]
    assert msgspec.convert(shown, TransferHappened).status == "held"
    assert list(shown) == list(TransferHappened.__struct_fields__)
