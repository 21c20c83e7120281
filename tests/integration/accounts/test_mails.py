"""Mails: queued with a change, sent soon after, tried again where the server is away, forgotten once gone."""

import asyncio
import stat
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import cast

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from services.accounts.domain.mail import TRIES_MAX, Mail, QueuedMail
from services.accounts.mailers import Delivery, SmtpMailer, SpoolMailer
from services.accounts.metrics import MAILS
from services.accounts.store.mails import queue_mail
from services.accounts.use_cases.send_mails import SendMails
from tallystick.stack.ports import free_ports
from tests.integration.accounts.conftest import World

SENDER = "Tallystick <no-reply@tallystick.example>"
MAIL = Mail(to="ada@example.com", subject="Grüße", text="Zum Beispiel: 1, 2, 3.\n")


class FakeMailer:
    """Answers what a test says and remembers what it was given."""

    def __init__(self, *answers: str) -> None:
        self.answers = cast("list[Delivery]", list(answers))
        self.given: list[QueuedMail] = []

    async def send(self, queued: QueuedMail) -> Delivery:
        self.given.append(queued)
        return self.answers.pop(0)


@pytest.fixture(autouse=True)
async def no_mails(world: World) -> AsyncIterator[None]:
    await world.rows("DELETE FROM accounts.mails")
    yield
    await world.rows("DELETE FROM accounts.mails")


async def queue(world: World, mail: Mail = MAIL) -> None:
    async with world.uow.begin() as tx:
        await queue_mail(tx.connection, mail)


async def test_a_mail_is_sent_once_and_its_row_forgotten(world: World) -> None:
    mailer = FakeMailer("sent")
    send = SendMails(world.uow, mailer, world.clock)
    await queue(world)
    await send()
    await send()
    assert [given.mail for given in mailer.given] == [MAIL]
    assert not await world.rows("SELECT 1 FROM accounts.mails")


async def test_a_mail_of_a_transaction_that_fails_is_never_sent(world: World) -> None:
    async def fail() -> None:
        async with world.uow.begin() as tx:
            await queue_mail(tx.connection, MAIL)
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError):
        await fail()
    await SendMails(world.uow, FakeMailer(), world.clock)()


async def test_the_pause_between_two_tries_grows_from_a_minute_to_an_hour(world: World) -> None:
    mailer = FakeMailer(*["later"] * 8)
    send = SendMails(world.uow, mailer, world.clock)
    await queue(world)
    world.clock.stop()
    world.clock.move(timedelta(seconds=5))
    for pause in (1, 2, 4, 8, 16, 32, 60, 60):
        await send()
        tried = len(mailer.given)
        world.clock.move(timedelta(minutes=pause, seconds=-1))
        await send()
        assert len(mailer.given) == tried
        world.clock.move(timedelta(seconds=1))
    assert len({given.mail_id for given in mailer.given}) == 1


async def test_a_mail_that_nobody_takes_is_given_up_and_counted(world: World) -> None:
    mailer = FakeMailer(*["later"] * TRIES_MAX)
    send = SendMails(world.uow, mailer, world.clock)
    counter = MAILS.labels("undeliverable")
    before = counter._value.get()
    await queue(world)
    for _ in range(TRIES_MAX + 1):
        await send()
        world.clock.move(timedelta(hours=1))
    assert len(mailer.given) == TRIES_MAX
    assert not await world.rows("SELECT 1 FROM accounts.mails")
    assert counter._value.get() == before + 1


async def test_a_mail_that_the_server_refuses_is_given_up_at_once(world: World) -> None:
    await queue(world)
    await SendMails(world.uow, FakeMailer("refused"), world.clock)()
    assert not await world.rows("SELECT 1 FROM accounts.mails")


async def test_two_processes_never_take_the_same_mail(world: World) -> None:
    mailer = FakeMailer(*["sent"] * 8)
    for _ in range(8):
        await queue(world)
    await asyncio.gather(*(SendMails(world.uow, mailer, world.clock)() for _ in range(3)))
    assert len(mailer.given) == len({given.mail_id for given in mailer.given}) == 8


async def test_the_spool_folder_gets_each_mail_as_a_file_that_only_its_owner_reads(
    world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "mail"
    await queue(world)
    await SendMails(world.uow, SpoolMailer(folder, SENDER), world.clock)()
    [file] = folder.iterdir()
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert (message["From"], message["To"], message["Subject"]) == (SENDER, MAIL.to, MAIL.subject)
    assert message.get_content() == MAIL.text
    assert message["Message-ID"] == f"<{file.stem}@tallystick.example>"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


class Mailbox:
    """What an SMTP server took, and what it says to the next mail."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.answer = "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 -- aiosmtpd's
        if self.answer.startswith("250"):
            self.taken.append(envelope)
        return self.answer


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    box, [port] = Mailbox(), free_ports(1)
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield box, port
    finally:
        controller.stop()


def smtp(port: int) -> SmtpMailer:
    return SmtpMailer(host="127.0.0.1", port=port, encryption="none", sender=SENDER)


async def test_an_smtp_server_gets_the_mail(world: World, mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    await queue(world)
    await SendMails(world.uow, smtp(port), world.clock)()
    [envelope] = box.taken
    assert isinstance(envelope.content, bytes)
    assert (envelope.mail_from, envelope.rcpt_tos) == ("no-reply@tallystick.example", [MAIL.to])
    assert message_from_bytes(envelope.content, policy=policy.default).get_content() == MAIL.text.replace("\n", "\r\n")


@pytest.mark.parametrize(("answer", "rows"), [("451 busy", 1), ("550 no such mailbox", 0), ("250 OK", 0)])
async def test_what_an_smtp_server_answers_decides_whether_it_is_tried_again(
    world: World, mailbox: tuple[Mailbox, int], answer: str, rows: int
) -> None:
    box, port = mailbox
    box.answer = answer
    await queue(world)
    await SendMails(world.uow, smtp(port), world.clock)()
    assert len(await world.rows("SELECT 1 FROM accounts.mails")) == rows


async def test_an_smtp_server_that_is_away_is_tried_again_and_no_address_is_logged(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await queue(world)
    await SendMails(world.uow, smtp(9), world.clock)()
    assert len(await world.rows("SELECT 1 FROM accounts.mails")) == 1
    assert "mail_server_unavailable" in (said := "".join(capsys.readouterr()))
    assert MAIL.to not in said
