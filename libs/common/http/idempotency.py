"""Requests with an `Idempotency-Key`: however often one is sent, it is done once and answered alike.

For routes that make rows in one transaction. The first final answer, success or refusal, is kept in that transaction
and for ever; a copy gets it back, and a copy that comes while the first is at work waits. What may pass (503, 429, 401)
is not final, and so is not kept; nor is what was wrong with the body itself, since nobody looked further.
A key belongs to a principal and a route. Secrets that are shown once are not kept: `render` leaves them out.

A route takes `asked: Keyed` and gives its use case `asked.by(principal.user_id, render)`; the use case does its work in
`async with once.work(self._uow) as tx:` and says `tx.made(...)`. The service's migration has `kept_answers_sql`.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final, Generic, TypeVar

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from libs.common.db.kept_answers import KeptAnswer, RequestKey, find_answer, insert_answer, lock_key
from libs.common.db.unit_of_work import Transaction, UnitOfWork
from libs.common.errors import Conflict, Forbidden, Malformed, NotFound, Rejected, TallystickError, Unprocessable
from libs.common.http.problems import error_response
from libs.common.idempotency_keys import KEY_SCHEMA, read_key
from libs.common.invariants import check

_FINAL: Final = (Rejected, Forbidden, NotFound, Conflict, Malformed)

_Made = TypeVar("_Made")

Render = Callable[[_Made], KeptAnswer]


class AnsweredBefore(Exception):
    """The request was answered before, and so."""

    def __init__(self, answer: KeptAnswer) -> None:
        """Carry the answer."""
        super().__init__(answer.status)
        self.answer: Final = answer


class OnceTransaction(Transaction, Generic[_Made]):
    """A transaction that also keeps the answer to what it does."""

    def __init__(self, tx: Transaction, keep: Callable[[_Made], object] | None) -> None:
        """Be the transaction given, in which `keep` takes note of what was made."""
        super().__init__(tx.connection, tx.service)
        self.messages = tx.messages
        self._keep = keep

    def made(self, what: _Made) -> None:
        """Say what the request made, by which its answer is rendered and kept."""
        if self._keep is not None:
            self._keep(what)


@dataclass(frozen=True, slots=True)
class Once(Generic[_Made]):
    """A request as a use case gets it; without a key it is a request like any other."""

    key: RequestKey | None
    body_hash: bytes
    request_id: str
    render: Render[_Made]

    @asynccontextmanager
    async def work(self, uow: UnitOfWork) -> AsyncIterator[OnceTransaction[_Made]]:
        """Run the transaction that does what is asked; it must say what it `made`.

        Idempotent by: the key. Locks: the key. Commits: as the unit of work, and when it ends with a final refusal,
        the refusal alone. Raises: AnsweredBefore, Unprocessable idempotency_key_reused, Conflict request_in_progress,
        Unavailable, and what the block does.
        """
        if self.key is None:
            async with uow.begin() as tx:
                yield OnceTransaction(tx, None)
            return
        refusal: TallystickError | None = None
        async with uow.begin() as tx:
            await self._require_first(tx, self.key)
            made: list[_Made] = []
            try:
                async with tx.undone_by_failure():
                    yield OnceTransaction(tx, made.append)
            except _FINAL as final:
                refusal = final
                answer = self._refused(final)
            else:
                check(len(made) == 1, "what is done for a key says once what it made", route=self.key.route)
                answer = self.render(made[0])
            await insert_answer(tx, self.key, self.body_hash, answer)
        if refusal is not None:
            raise refusal

    async def _require_first(self, tx: Transaction, key: RequestKey) -> None:
        await lock_key(tx, key)
        found = await find_answer(tx, key)
        if found is None:
            return
        body_hash, answer = found
        if body_hash != self.body_hash:
            raise Unprocessable(
                "idempotency_key_reused", "This key was used for another request; use a new key for a new request."
            )
        raise AnsweredBefore(answer)

    def _refused(self, error: TallystickError) -> KeptAnswer:
        response = error_response(error, self.request_id)
        return KeptAnswer(response.status_code, str(response.media_type), "", bytes(response.body))


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """What of a request makes it a copy of another. `by` says whose it is, which the gate knows."""

    route: str
    idempotency_key: str | None
    body_hash: bytes
    request_id: str

    def key_of(self, principal_id: str) -> RequestKey:
        """Return the key of a request that needs one, for a use case which keeps what it did piece by piece."""
        check(self.idempotency_key is not None, "a route that needs a key has read it", route=self.route)
        return RequestKey(principal_id, self.route, str(self.idempotency_key))

    def by(
        self, principal_id: str, render: Render[_Made], *, hide: Callable[[str], bytes] | None = None
    ) -> Once[_Made]:
        """Return the request for the use case; `render` makes the answer that copies get.

        `hide` is for a body that is personal data: a keyed hash (32 bytes) of what is kept otherwise, since whoever
        has the plain one can try names and birth dates until he finds them.
        """
        key = None
        if self.idempotency_key is not None:
            key = RequestKey(principal_id, self.route, self.idempotency_key)
        body_hash = self.body_hash if hide is None else hide(self.body_hash.hex())
        return Once(key, body_hash, self.request_id, render)


@dataclass(frozen=True, slots=True)
class KeyedHead:
    """What of a request is known before its body, for a route that reads that in pieces."""

    route: str
    path: str
    idempotency_key: str | None
    request_id: str

    def with_body(self, body: bytes) -> KeyedRequest:
        """Return the request once its body is known: whole, or by a hash of all that makes it a copy."""
        return KeyedRequest(self.route, self.idempotency_key, _hash(self.path, body), self.request_id)


def _keyed_head(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="Yours, 1 to 255 printable ASCII characters; a copy with the same key is answered alike.",
            json_schema_extra=KEY_SCHEMA,
            examples=["5f0c3a1e-6f4d-4b0e-9f0a-3d1c8a1f2b77"],
        ),
    ] = None,
) -> KeyedHead:
    return KeyedHead(
        route=f"{request.method} {request.scope['route'].path}",
        path=request.url.path,
        idempotency_key=None if idempotency_key is None else read_key(idempotency_key),
        request_id=str(request.scope.get("request_id", "")),
    )


async def _keyed_request(request: Request, head: Annotated[KeyedHead, Depends(_keyed_head)]) -> KeyedRequest:
    return head.with_body(await request.body())


async def _surely_keyed_request(
    request: Request, idempotency_key: Annotated[str | None, Header(include_in_schema=False)] = None
) -> KeyedRequest:
    read_key(idempotency_key)
    return await _keyed_request(request, _keyed_head(request, idempotency_key))


Keyed = Annotated[KeyedRequest, Depends(_keyed_request)]
"""What a route takes that honours idempotency keys."""
SurelyKeyed = Annotated[KeyedRequest, Depends(_surely_keyed_request)]
"""The same for a route that does nothing without a key; its `openapi_extra` names `KEY_HEADER`."""
KeyedBeforeBody = Annotated[KeyedHead, Depends(_keyed_head)]
"""The same for a route that reads its body itself."""
REFUSED_COPIES: Final = ("idempotency_key_invalid", "idempotency_key_reused", "request_in_progress")
"""The codes that such a route may answer with."""


def answer_of(model: BaseModel, status: int, *, location: str = "") -> KeptAnswer:
    """Return an answer to be kept."""
    return KeptAnswer(status, "application/json", location, model.model_dump_json().encode())


def kept_response(answer: KeptAnswer, *, replayed: bool) -> Response:
    """Answer with what is kept, be it the first time or again."""
    headers = {"Location": answer.location} if answer.location else {}
    if replayed:
        headers["Idempotency-Replayed"] = "true"
    return Response(answer.body, answer.status, headers=headers, media_type=answer.media_type or None)


async def on_answered_before(request: Request, earlier: Exception) -> Response:
    """Answer a copy; every application has this for `AnsweredBefore`. It did nothing that the first did not."""
    request.scope["asker"].is_recorded = True
    assert isinstance(earlier, AnsweredBefore)  # noqa: S101 -- what it is registered for
    return kept_response(earlier.answer, replayed=True)


def _hash(path: str, body: bytes) -> bytes:
    """Return the SHA-256 of the path and the body; order and spelling of its JSON do not matter."""
    try:
        canonical = json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        canonical = body
    return sha256(path.encode() + b"\n" + canonical).digest()
