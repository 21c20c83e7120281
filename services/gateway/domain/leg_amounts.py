"""How much of each leg a capture or a reversal moves."""

from collections.abc import Sequence

from libs.common.errors import Unprocessable


def amounts_by_leg(amount_minor: int | None, amounts_minor: Sequence[int] | None, *, legs: int) -> tuple[int, ...]:
    """Return the amounts asked for, one for each leg; empty for all that is left.

    Raises: Unprocessable amount_or_amounts, amounts_by_leg.
    """
    if amount_minor is not None and amounts_minor is not None:
        raise Unprocessable("amount_or_amounts", "Send amount_minor or amounts_minor, not both.")
    if amount_minor is not None:
        amounts_minor = (amount_minor,)
    if amounts_minor is None:
        return ()
    if len(amounts_minor) != legs or not any(amounts_minor):
        raise Unprocessable(
            "amounts_by_leg",
            "Name one amount for each leg of the transfer, in their order, not all of them zero.",
            legs=legs,
        )
    return tuple(amounts_minor)
