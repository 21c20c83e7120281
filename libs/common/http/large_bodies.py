"""Bodies beyond what every route takes: of somebody who may ask, few at once of each, since they are held whole."""

from typing import Final

from libs.common.http.places import Places

MAX_BODY_BYTES: Final = 1024 * 1024
"""What every route takes."""
MAX_BATCH_BODY_BYTES: Final = 32 * 1024 * 1024
"""What the routes for many transfers take."""

_AT_ONCE_MAX: Final = 4
_EACH_MAX: Final = 2

LARGE_BODIES: Final = Places(_AT_ONCE_MAX, _EACH_MAX, "Too many large requests are being read; try again.")
"""Who sends the large bodies that this process holds."""
