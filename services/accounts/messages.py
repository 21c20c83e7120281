"""What the bus is told of a customer or an account: whole states, the same words at every repetition."""

from libs.common.clock import to_rfc3339
from libs.common.contracts.accounts import AccountChanged, CustomerChanged
from services.accounts.domain.account import Account
from services.accounts.domain.customer import Customer


def account_changed(account: Account) -> AccountChanged:
    """Return the account's present state as a message."""
    return AccountChanged(
        account_id=account.account_id,
        account_number=account.account_number,
        owner_id=account.owner_id,
        asset=account.asset,
        status=account.status,
        version=account.version,
        occurred_at=to_rfc3339(account.changed_at),
    )


def customer_changed(customer: Customer) -> CustomerChanged:
    """Return the customer's present state as a message; neither name nor e-mail is in it."""
    return CustomerChanged(
        user_id=customer.user_id,
        profile=customer.profile,
        status=customer.status,
        version=customer.version,
        occurred_at=to_rfc3339(customer.changed_at),
    )
