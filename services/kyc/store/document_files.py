"""Where the sealed files of documents lie: a folder (`file:///…`), or a bucket of an S3-compatible store (`s3://…`)."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from libs.common.errors import InvariantBroken, Unavailable

_PART_BYTES: Final = 5 * 1024 * 1024
"""The least that S3 takes as a part of a file; an upload holds two of them at most."""
_AT_ONCE_MAX: Final = 1
_TIMEOUT: Final = timedelta(seconds=20)
_PATIENCE: Final = timedelta(seconds=20)
_RETRIES_MAX: Final = 2


class DocumentFiles:
    """Files by the ids of their documents. What is in them is sealed before it comes here.

    Credentials, region and endpoint of S3 come from the usual `AWS_…` variables or from the machine's own role.
    """

    def __init__(self, url: str) -> None:
        """Use this folder or bucket; nothing is opened yet. Raises: what obstore says of a URL that is none."""
        if url.startswith("file:"):
            self._store = from_url(url, mkdir=True)
        else:
            self._store = from_url(
                url,
                # Plain HTTP only where the endpoint itself says so; the files are sealed in any case.
                client_options={"timeout": _TIMEOUT, "allow_http": True},
                retry_config={"max_retries": _RETRIES_MAX, "retry_timeout": _PATIENCE},
            )

    async def put(self, document_id: str, sealed: AsyncGenerator[bytes]) -> None:
        """Write a file; it is there once it is whole, and not before. Raises: Unavailable, and what `sealed` does."""
        try:
            await obstore.put_async(
                self._store, document_id, sealed, chunk_size=_PART_BYTES, max_concurrency=_AT_ONCE_MAX
            )
        except (BaseError, OSError) as failure:
            raise _away() from failure

    async def read(self, document_id: str) -> AsyncGenerator[bytes]:
        """Yield a file in pieces. Raises: Unavailable; InvariantBroken when there is none."""
        try:
            answer = await obstore.get_async(self._store, document_id)
            async for piece in answer.stream():
                yield bytes(piece)
        except FileNotFoundError:
            raise InvariantBroken("a stored document has its file", document_id=document_id) from None
        except (BaseError, OSError) as failure:
            raise _away() from failure

    async def delete(self, document_id: str) -> None:
        """Delete a file, if it is there. Raises: Unavailable."""
        try:
            await obstore.delete_async(self._store, document_id)
        except FileNotFoundError:
            return
        except (BaseError, OSError) as failure:
            raise _away() from failure


def _away() -> Unavailable:
    return Unavailable("service_unavailable", "The store of documents does not answer; try again.")
