"""Hears `CustomerErased`: what he once applied with goes, too (`use_cases/forget_applicants.py`)."""

from libs.common.personal.on_customer_erased import OnCustomerErased

__all__ = ["OnCustomerErased"]
