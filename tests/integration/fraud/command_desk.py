"""Where captures, voids and reversals are screened beside an office, on a connection of their own."""

from collections.abc import Sequence
from typing import Any, Final, Self

import msgspec

from libs.common.clock import to_rfc3339
from libs.common.contracts.fraud import CaptureScreened, ReversalScreened, VoidScreened
from libs.common.contracts.gateway import CaptureTransfer, ReverseTransfer, VoidTransfer
from libs.common.db.hot import HotConnection
from libs.common.ids import new_id
from libs.common.messaging.outbox import Outbox
from libs.common.messaging.records import Received
from services.fraud.consumers.on_capture_transfer import OnCaptureTransfer
from services.fraud.store.unit_of_work import UnitOfWork
from services.fraud.use_cases.screen_commands import ScreenCommands
from tests.integration.fraud.office import NOON, Office
from tests.support.api_world import RecordingPublisher

Command = CaptureTransfer | VoidTransfer | ReverseTransfer
Screened = CaptureScreened | VoidScreened | ReversalScreened
CONNECTION: Final = "fraud-commands-test"
READERS: Final[dict[str, Any]] = {
    kind.TYPE: msgspec.json.Decoder(kind).decode for kind in (CaptureScreened, VoidScreened, ReversalScreened)
}


class CommandDesk:
    """Hears commands as the service does; its clock is the office's."""

    def __init__(self, office: Office) -> None:
        self.publisher = RecordingPublisher()
        self._hot = HotConnection(office.dsn, CONNECTION)
        self.outbox = Outbox("fraud", self.publisher, self._hot)
        self.work = UnitOfWork(self._hot, self.outbox)
        self.hear = OnCaptureTransfer(ScreenCommands(self.work, clock=lambda: office.now))

    async def __aenter__(self) -> Self:
        await self._hot.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._hot.close()

    @property
    def said(self) -> list[Screened]:
        """Everything said so far, decoded."""
        return [READERS[one.message_type](one.payload) for one in self.publisher.sent]

    async def ask(self, *commands: Command) -> list[Screened]:
        """Let these come in one batch; return what is said of them."""
        before = len(self.publisher.sent)
        await self.hear([heard(command) for command in commands])
        return self.said[before:]

    async def codes(self, *commands: Command) -> list[str]:
        """Let these come in one batch; return by which code each is refused, empty for none."""
        return [codes_of(one) for one in await self.ask(*commands)]


def codes_of(screened: Screened) -> str:
    return "" if isinstance(screened, VoidScreened) else screened.code


def heard(message: Command) -> Received:
    """Return a message as delivery hands it on; nobody here asks for its record."""
    return Received(message, None, None, "")


def capture(actor_id: str, *amounts_minor: int, transfer_id: str = "") -> CaptureTransfer:
    return CaptureTransfer(
        command_id=new_id(),
        transfer_id=transfer_id or new_id(),
        actor_id=actor_id,
        amounts_minor=amounts_minor,
        is_final=False,
        requested_at=to_rfc3339(NOON),
    )


def reversal(actor_id: str, *amounts_minor: int, transfer_id: str = "") -> ReverseTransfer:
    return ReverseTransfer(
        command_id=new_id(),
        transfer_id=transfer_id or new_id(),
        actor_id=actor_id,
        amounts_minor=amounts_minor,
        with_fees=False,
        reason_commitment="",
        requested_at=to_rfc3339(NOON),
    )


def void(actor_id: str, *, transfer_id: str = "") -> VoidTransfer:
    return VoidTransfer(
        command_id=new_id(), transfer_id=transfer_id or new_id(), actor_id=actor_id, requested_at=to_rfc3339(NOON)
    )


def commands_of(screened: Sequence[Screened]) -> list[Command]:
    return [one.command for one in screened]
