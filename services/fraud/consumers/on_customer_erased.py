"""Hears `CustomerErased`: what people wrote about him here goes, too (`use_cases/forget_erased.py`)."""

from libs.common.personal.on_customer_erased import OnCustomerErased

__all__ = ["OnCustomerErased"]
