"""A receiver of webhooks as somebody would write one: it keeps what came, and answers as it is told."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
from standardwebhooks import Webhook


@dataclass(frozen=True)
class Received:
    """One request."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        document: dict[str, Any] = msgspec.json.decode(self.body)
        return document

    def verified(self, secret: str) -> dict[str, Any]:
        """Return the event once the public library has verified its signature. Raises: WebhookVerificationError."""
        event: dict[str, Any] = Webhook(secret).verify(self.body, dict(self.headers))
        return event


@dataclass
class Receiver:
    """What came so far, in order; `answer` says what each request gets: a status, or a status and headers."""

    url: str = ""
    taken: list[Received] = field(default_factory=list)
    answer: Callable[[Received], int | tuple[int, dict[str, str]]] = lambda _received: 204


@contextmanager
def webhook_receiver() -> Iterator[Receiver]:
    """Run one on this machine, without TLS, for as long as the block."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received = Received({name.lower(): value for name, value in self.headers.items()}, body)
            receiver.taken.append(received)
            answer = receiver.answer(received)
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/events"
    running = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    running.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        running.join()
