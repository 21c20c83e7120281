"""Staff put a fee schedule in force."""

from libs.common.contracts.gateway import PublishFeeSchedule


def on_publish_fee_schedule(message: PublishFeeSchedule) -> PublishFeeSchedule:
    """Return the command in it: the engine looks at every rule, and one that cannot be is refused, not parked."""
    return message
