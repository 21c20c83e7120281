"""What the answers told us, transfer by transfer: the receipts must say the same."""

from collections.abc import Sequence

from tallystick.demo.customers import Cast
from tallystick.demo.pay import Paid
from tallystick.demo.receipts import Claim
from tallystick.demo.singles import Singles


def claims_of_payroll(cast: Cast, paid: Sequence[Paid]) -> list[Claim]:
    """Return a claim for each transfer of the payroll, once; what was held is claimed to be posted by now."""
    claims = {
        one.transfer_id: Claim(
            one.transfer_id,
            "posted" if one.status == "held" else one.status,
            cast.business.account_id,
            one.destination_account_id,
            one.line.amount_minor,
        )
        for one in paid
        if one.transfer_id is not None
    }
    return list(claims.values())


def claims_of_singles(singles: Singles) -> list[Claim]:
    """Return a claim for each single transfer, the blocked and the refused one among them."""
    return [
        Claim(
            one.transfer_id,
            one.status,
            one.order.payer.account_id,
            one.order.payee.account_id,
            one.order.amount_minor,
        )
        for one in singles.everything
    ]
