"""Hears `WebhookDisabled`: its owner gets a mail. `HeldMoneyArrived` shares its topic, and its consumer asks here."""

from libs.common.contracts.gateway import WebhookDisabled
from services.accounts.domain.notices import Notice, webhook_disabled_notice


def read_disabled(message: WebhookDisabled) -> Notice:
    """Return what its owner is told."""
    return webhook_disabled_notice(
        user_id=message.user_id,
        webhook_id=message.webhook_id,
        because=message.because,
        moment=message.occurred_at,
    )
