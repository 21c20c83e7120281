"""Keep where customers want their events sent to."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

import asyncpg

from libs.common.clock import Clock
from libs.common.db.hot import HotConnection
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Conflict, NotFound
from libs.common.http.idempotency import Once
from libs.common.ids import is_id, new_id
from services.gateway.domain.events import KEPT_FOR
from services.gateway.domain.webhooks import PER_USER_MAX, Webhook, require_url
from services.gateway.store.events import register_reader
from services.gateway.store.webhook_deliveries import resume_deliveries
from services.gateway.store.webhooks import (
    delete_webhook,
    insert_webhook,
    load_webhooks,
    lock_webhook,
    update_webhook,
)
from services.gateway.webhook_secrets import WebhookSecrets


class WantedWebhook(NamedTuple):
    """Where events are to be sent, and of which types; none for all."""

    url: str
    description: str = ""
    event_types: Sequence[str] = ()


class WebhookChange(NamedTuple):
    """What its owner wants otherwise; None leaves as it is."""

    url: str | None = None
    description: str | None = None
    event_types: tuple[str, ...] | None = None
    is_enabled: bool | None = None


class KeepWebhooks:
    """What owners do to their webhooks. Raises: Unavailable, and NotFound webhook_not_found for those of others."""

    def __init__(
        self,
        connection: HotConnection,
        uow: UnitOfWork,
        secrets: WebhookSecrets,
        clock: Clock,
        allowed_hosts: Sequence[str],
    ) -> None:
        """Use a connection of its own, and a unit of work for what is done once a key."""
        self._connection = connection
        self._uow = uow
        self._secrets = secrets
        self._clock = clock
        self._allowed_hosts = frozenset(allowed_hosts)

    async def create(self, once: Once[Webhook], user_id: str, wanted: WantedWebhook) -> tuple[Webhook, str]:
        """Send events there from now on; return the webhook and its secret, which is never shown again.

        Idempotent by: the request's key. Locks: it, the user's row of readers. Raises: AnsweredBefore, Unprocessable
        webhook_url_refused, Conflict too_many_webhooks.
        """
        secret, sealed = self._secrets.make()
        async with once.work(self._uow) as tx:
            require_url(wanted.url, self._allowed_hosts)
            now = self._clock()
            webhook = Webhook(
                webhook_id=new_id(),
                user_id=user_id,
                url=wanted.url,
                description=wanted.description,
                event_types=tuple(sorted(set(wanted.event_types))),
                sealed_secret=sealed,
                earlier_secret=None,
                earlier_until=None,
                is_enabled=True,
                disabled_because="",
                disabled_at=None,
                created_at=now,
                changed_at=now,
            )
            database = await tx.driver()
            # It locks the user's row, so two at once are counted one after the other.
            await register_reader(database, user_id, now, now + KEPT_FOR)
            if len(await load_webhooks(database, user_id)) >= PER_USER_MAX:
                raise Conflict("too_many_webhooks", f"You may have {PER_USER_MAX} webhooks; delete one.")
            await insert_webhook(database, webhook)
            tx.made(webhook)
        return webhook, secret

    async def list(self, user_id: str) -> Sequence[Webhook]:
        """Return the user's, oldest first."""
        async with self._connection.autocommit() as database:
            return await load_webhooks(database, user_id)

    async def show(self, user_id: str, webhook_id: str) -> Webhook:
        """Return one of the user's."""
        async with self._connection.autocommit() as database:
            return await own_webhook(database, user_id, webhook_id)

    async def change(self, user_id: str, webhook_id: str, change: WebhookChange) -> Webhook:
        """Keep what is otherwise from now on. Enabled again, it gets first what it has not taken.

        Raises: Unprocessable webhook_url_refused.
        """
        if change.url is not None:
            require_url(change.url, self._allowed_hosts)
        now = self._clock()
        # tidy: allow commit-outside-unit-of-work: nothing is said of it, so there is nothing to publish
        async with self._connection.transaction() as database:
            before = await own_webhook(database, user_id, webhook_id)
            after = _changed(before, change, now)
            await update_webhook(database, after)
            if after.is_enabled and not before.is_enabled:
                await resume_deliveries(database, webhook_id, now)
        return after

    async def rotate_secret(self, user_id: str, webhook_id: str, overlap: timedelta) -> tuple[Webhook, str]:
        """Return the webhook and a new secret; the one before signs too for as long as the overlap."""
        now = self._clock()
        secret, sealed = self._secrets.make()
        # tidy: allow commit-outside-unit-of-work: as above
        async with self._connection.transaction() as database:
            before = await own_webhook(database, user_id, webhook_id)
            after = replace(
                before,
                sealed_secret=sealed,
                earlier_secret=before.sealed_secret if overlap else None,
                earlier_until=now + overlap if overlap else None,
                changed_at=now,
            )
            await update_webhook(database, after)
        return after, secret

    async def delete(self, user_id: str, webhook_id: str) -> None:
        """Send nothing more there, and forget what was sent."""
        # tidy: allow commit-outside-unit-of-work: as above
        async with self._connection.transaction() as database:
            await own_webhook(database, user_id, webhook_id)
            await delete_webhook(database, webhook_id)


async def own_webhook(database: asyncpg.Connection, user_id: str, webhook_id: str) -> Webhook:
    """Return one of the user's, locked. Raises: NotFound webhook_not_found."""
    found = await lock_webhook(database, webhook_id, user_id) if is_id(webhook_id) else None
    if found is None:
        raise NotFound("webhook_not_found", "There is no such webhook, or it is not yours.")
    return found


def _changed(before: Webhook, change: WebhookChange, now: datetime) -> Webhook:
    is_enabled = before.is_enabled if change.is_enabled is None else change.is_enabled
    is_same = is_enabled == before.is_enabled
    return replace(
        before,
        url=before.url if change.url is None else change.url,
        description=before.description if change.description is None else change.description,
        event_types=before.event_types if change.event_types is None else tuple(sorted(set(change.event_types))),
        is_enabled=is_enabled,
        disabled_because=before.disabled_because if is_same else "" if is_enabled else "by_owner",
        disabled_at=before.disabled_at if is_same else None if is_enabled else now,
        changed_at=now,
    )
