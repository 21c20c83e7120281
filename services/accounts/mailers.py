"""How mails leave: through an SMTP server, or into a folder where people and tests find them."""

import asyncio
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Final, Literal, Protocol

import aiosmtplib
import structlog
from pydantic import SecretStr

from services.accounts.domain.mail import QueuedMail

log = structlog.get_logger()

Encryption = Literal["tls", "starttls", "none"]
Delivery = Literal["sent", "later", "refused"]
"""What became of a mail: gone, to be tried again, or never to be taken by that server."""

_PERMANENT: Final = range(500, 600)
_SMTP_SECONDS: Final = 30.0
"""Shorter than the first pause between two tries, so that two processes never send the same mail at once."""


class Mailer(Protocol):
    """Hands mails over to whoever carries them. The same mail may be handed over twice; its Message-ID stays."""

    async def send(self, queued: QueuedMail) -> Delivery:
        """Hand one mail over and say what became of it; no failure of the other side is raised."""


class SpoolMailer:
    """Writes each mail as `<mail_id>.eml` into a folder, mode 0600: what runs locally has no mail server."""

    def __init__(self, folder: Path, sender: str) -> None:
        """Make the folder. Raises: OSError."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder: Final = folder
        self._sender: Final = sender

    async def send(self, queued: QueuedMail) -> Delivery:
        """Write the file in one step, its lines ended as those of other files: who sees it sees it whole."""
        await asyncio.to_thread(
            self._write, queued.mail_id, _message(queued, self._sender).as_bytes(policy=policy.default)
        )
        return "sent"

    def _write(self, mail_id: str, content: bytes) -> None:
        unfinished = self._folder / f".{mail_id}"
        unfinished.touch(mode=0o600)
        unfinished.write_bytes(content)
        unfinished.rename(self._folder / f"{mail_id}.eml")


class SmtpMailer:
    """Speaks SMTP (RFC 5321), one connection a mail: there are few, and a kept one would have to be watched."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        encryption: Encryption,
        sender: str,
        user: str | None = None,
        password: SecretStr | None = None,
    ) -> None:
        """Remember how to reach the server; nothing is opened yet."""
        self._sender: Final = sender
        self._host = host
        self._port = port
        self._encryption = encryption
        self._user = user
        self._password = password

    async def send(self, queued: QueuedMail) -> Delivery:
        """Send one mail; a server that is away, busy or wants another password is asked again later."""
        try:
            async with asyncio.timeout(_SMTP_SECONDS):
                await self._send(_message(queued, self._sender))
        except aiosmtplib.SMTPRecipientsRefused as failure:
            return _refused_or_later(queued, failure.recipients[0].code)
        except (aiosmtplib.SMTPDataError, aiosmtplib.SMTPSenderRefused) as failure:
            return _refused_or_later(queued, failure.code)
        except aiosmtplib.SMTPNotSupported:
            # An address beyond ASCII, and a server that cannot take it (RFC 6531).
            return _refused_or_later(queued, _PERMANENT.start)
        except (aiosmtplib.SMTPException, OSError) as failure:
            # Its text may repeat the address.
            log.warning("mail_server_unavailable", mail_id=queued.mail_id, error=type(failure).__name__)
            return "later"
        return "sent"

    async def _send(self, message: EmailMessage) -> None:
        await aiosmtplib.send(
            message,
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password.get_secret_value() if self._password else None,
            use_tls=self._encryption == "tls",
            start_tls=self._encryption == "starttls",
        )


def _refused_or_later(queued: QueuedMail, code: int) -> Delivery:
    log.warning("mail_not_taken", mail_id=queued.mail_id, smtp_code=code)
    return "refused" if code in _PERMANENT else "later"


def _message(queued: QueuedMail, sender: str) -> EmailMessage:
    """Return the mail as RFC 5322 has it; the same mail has the same Message-ID at every try."""
    message = EmailMessage(policy=policy.SMTPUTF8 if not queued.mail.to.isascii() else policy.SMTP)
    message["From"] = sender
    message["To"] = queued.mail.to
    message["Subject"] = queued.mail.subject
    message["Date"] = format_datetime(queued.queued_at)
    message["Message-ID"] = f"<{queued.mail_id}@{sender.rpartition('@')[2].rstrip('>')}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(queued.mail.text)
    return message
