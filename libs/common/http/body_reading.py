"""How much of a request's body a hot endpoint is given to read."""

from libs.common.errors import TooLarge
from libs.common.http.gate import GuardedEndpoint
from libs.common.http.hot import HotRequest
from libs.common.http.large_bodies import LARGE_BODIES, MAX_BODY_BYTES


class BodyReading:
    """The bounds of one hot request's body."""

    __slots__ = ("_endpoint", "_is_large", "_request")

    def __init__(self, endpoint: GuardedEndpoint, request: HotRequest) -> None:
        """Begin to read."""
        self._endpoint = endpoint
        self._request = request
        self._is_large = False

    def require_bounded(self, size: int) -> None:
        """Go on with a body that has, or will have, so many bytes; a large one is read of who is let in.

        Raises: TooLarge, Unavailable overloaded, what the gate does.
        """
        if size <= MAX_BODY_BYTES or (self._is_large and size <= self._endpoint.max_body_bytes):
            return
        if size > self._endpoint.max_body_bytes:
            raise too_large(self._endpoint.max_body_bytes)
        self._endpoint.let_in(self._request)
        LARGE_BODIES.enter()
        self._is_large = True

    def end(self) -> None:
        """Let go of the body; called as often as anybody likes."""
        if self._is_large:
            self._is_large = False
            LARGE_BODIES.leave()


def too_large(bound: int) -> TooLarge:
    """Refuse a body with more bytes than this."""
    return TooLarge("body_too_large", f"The body may have {bound} bytes; send less, or in several requests.")
