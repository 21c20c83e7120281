"""Hears `CredentialsRevoked`: first approvals of whoever lost a role or left do not count any more."""

from libs.common.approvals.on_authority_ended import OnAuthorityEnded

__all__ = ["OnAuthorityEnded"]
