"""Bodies beyond what every route takes: of somebody who may ask, few at once of each, since they are held whole."""

from typing import Final

from libs.common.http.places import Places

MAX_BODY_BYTES: Final = 1024 * 1024
"""What every route takes."""
MAX_BATCH_BODY_BYTES: Final = 32 * 1024 * 1024
"""What the routes for many transfers take."""
MAX_DOCUMENT_BODY_BYTES: Final = 10 * 1024 * 1024
"""What the route for documents takes."""

_AT_ONCE_MAX: Final = 4
_ADDRESS_MAX: Final = 2
_FULL: Final = "Too many large requests are being read; try again."

LARGE_BODIES: Final = Places(_AT_ONCE_MAX, 1, _FULL)
"""Who sends the large bodies that this process holds."""
LARGE_BODIES_BY_ADDRESS: Final = Places(_AT_ONCE_MAX, _ADDRESS_MAX, _FULL)
"""From where they come: anybody can register four times, and must not hold all of them by that."""
