"""How much of a request's body a hot endpoint is given to read."""

from libs.common.errors import TooLarge, Unavailable
from libs.common.http.client_address import neighbourhood_of
from libs.common.http.gate import GuardedEndpoint
from libs.common.http.hot import HotRequest
from libs.common.http.large_bodies import LARGE_BODIES, LARGE_BODIES_BY_ADDRESS, MAX_BODY_BYTES


class BodyReading:
    """The bounds of one hot request's body."""

    __slots__ = ("_endpoint", "_request", "_sender")

    def __init__(self, endpoint: GuardedEndpoint, request: HotRequest) -> None:
        """Begin to read."""
        self._endpoint = endpoint
        self._request = request
        self._sender: tuple[str, str] | None = None
        """Who sends it from where, once it is known to be large."""

    def require_bounded(self, size: int) -> None:
        """Go on with a body that has, or will have, so many bytes; a large one is read of who is let in.

        Raises: TooLarge, Unavailable overloaded, what the gate does.
        """
        if size <= MAX_BODY_BYTES or (self._sender is not None and size <= self._endpoint.max_body_bytes):
            return
        if size > self._endpoint.max_body_bytes:
            raise too_large(self._endpoint.max_body_bytes)
        sender = self._endpoint.let_in(self._request)
        whence = neighbourhood_of(self._request.address)
        LARGE_BODIES.enter(sender)
        try:
            LARGE_BODIES_BY_ADDRESS.enter(whence)
        except Unavailable:
            LARGE_BODIES.leave(sender)
            raise
        self._sender = (sender, whence)

    def end(self) -> None:
        """Let go of the body; called as often as anybody likes."""
        if self._sender is not None:
            sender, whence = self._sender
            LARGE_BODIES.leave(sender)
            LARGE_BODIES_BY_ADDRESS.leave(whence)
            self._sender = None


def too_large(bound: int) -> TooLarge:
    """Refuse a body with more bytes than this."""
    return TooLarge("body_too_large", f"The body may have {bound} bytes; send less, or in several requests.")
