"""Hears `CustomerErased`: his answers, webhooks and words go, too (`use_cases/forget_erased.py`)."""

from libs.common.personal.on_customer_erased import OnCustomerErased

__all__ = ["OnCustomerErased"]
