"""The permission matrix: every action of every route, and who may do it. Read here by people, by the gate and by tests.

A route names its action (`gate.py`); a route without one keeps its service from starting.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal

Role = Literal["customer", "support", "compliance", "operator", "auditor", "admin"]
Scope = Literal[
    "accounts:read",
    "accounts:write",
    "transfers:read",
    "transfers:write",
    "treasury:write",
    "kyc:read",
    "kyc:write",
    "fraud:read",
    "events:read",
    "webhooks:read",
    "webhooks:write",
    "ledger:read",
    "ledger:write",
]

STAFF: Final[frozenset[Role]] = frozenset({"support", "compliance", "operator", "auditor", "admin"})
ROLES: Final[frozenset[Role]] = STAFF | {"customer"}


@dataclass(frozen=True, slots=True)
class Permission:
    """Who may do an action: anybody at all, whoever has one of the roles, or whoever the resource is related to.

    `related` names that relation in words; the route, which alone has the resource at hand, tests it. `scope` is what
    an API key needs besides; without one only a person who logged in may. `fresh` asks of staff that they have proved
    themselves with a second factor not long ago, where the installation asks for it.
    """

    what: str
    roles: frozenset[Role] = frozenset()
    related: str = ""
    public: bool = False
    scope: Scope | None = None
    fresh: bool = False


def _of(*roles: Role) -> frozenset[Role]:
    return frozenset(roles)


def scopes_open_to(roles: Collection[str]) -> frozenset[Scope]:
    """Return the scopes that could let somebody with these roles do something, and which his API keys may have."""
    return frozenset(
        permission.scope
        for permission in PERMISSIONS.values()
        if permission.scope and (permission.related or not permission.roles.isdisjoint(roles))
    )


PERMISSIONS: Final[Mapping[str, Permission]] = {
    # Customers and their log-ins
    "customer.register": Permission("become a customer", public=True),
    "customer.verify_email": Permission("prove that an e-mail is one's own", public=True),
    "session.begin": Permission("log in, stay logged in, log out", public=True),
    "session.list": Permission("see one's own log-ins", related="the customer himself"),
    "session.end": Permission("end one's own log-ins", related="the customer himself"),
    "session.step_up": Permission("prove again who one is", related="the customer himself"),
    "second_factor.set": Permission("set up one's own second factor", related="the customer himself"),
    "second_factor.remove": Permission("remove one's own second factor", related="the customer himself"),
    "password.change": Permission("change one's own password", related="the customer himself"),
    "password.reset": Permission("set a new password by a token from one's mailbox", public=True),
    "token_keys.read": Permission("read the keys that verify access tokens", public=True),
    "customer.read": Permission("see one's own data", related="the customer himself", scope="accounts:read"),
    "customer.export": Permission("take along all that is held about oneself", related="the customer himself"),
    "customer.rename": Permission("correct one's own name", related="the customer himself"),
    "customer.change_email": Permission("change one's own e-mail", related="the customer himself"),
    "customer.close": Permission("end one's own relationship", related="the customer himself"),
    "customer.delete": Permission("take somebody else who has closed out of sight", _of("admin"), fresh=True),
    "customer.ask_erasure": Permission(
        "ask to destroy what is known of somebody else who has closed", _of("compliance", "admin"), fresh=True
    ),
    "customer.erase": Permission(
        "destroy what is known of somebody else, as a colleague asked", _of("compliance", "admin"), fresh=True
    ),
    "customer.stop_erasure": Permission(
        "withdraw or refuse what was asked to be destroyed of somebody else", _of("compliance", "admin"), fresh=True
    ),
    "customer.list_erasures": Permission("see what waits to be erased", _of("compliance", "admin", "auditor")),
    "customer.restore": Permission("bring back somebody else who closed or was deleted", _of("admin"), fresh=True),
    "account.delete": Permission("take somebody else's closed account out of sight", _of("admin"), fresh=True),
    "account.restore": Permission("bring back somebody else's account that was deleted", _of("admin"), fresh=True),
    "customer.set_profile": Permission("set whose limits hold for a customer", _of("compliance", "admin"), fresh=True),
    "customer.set_roles": Permission("set the roles of somebody else", _of("admin"), fresh=True),
    "api_key.list": Permission("see one's own API keys", related="the owner"),
    "api_key.create": Permission("make an API key for oneself", related="the owner", fresh=True),
    "api_key.revoke": Permission("revoke one's own API keys", related="the owner"),
    "service_account.list": Permission("see service accounts and their keys", _of("admin", "auditor")),
    "service_account.create": Permission("make a service account, and keys for it", _of("admin"), fresh=True),
    "service_account.close": Permission("close a service account, or revoke its keys", _of("admin"), fresh=True),
    # Accounts
    "account.open": Permission("open an account for oneself", _of("customer"), scope="accounts:write"),
    "account.list": Permission("list one's own accounts", related="the owner", scope="accounts:read"),
    "account.read": Permission(
        "see an account, its balances, entries and statements", STAFF, "the owner", scope="accounts:read"
    ),
    "account.describe": Permission("name an account", related="the owner", scope="accounts:write"),
    "account.set_primary": Permission("choose the primary account", related="the owner", scope="accounts:write"),
    "account.close": Permission("close an account", related="the owner", scope="accounts:write"),
    "account.set_status": Permission(
        "freeze, suspend, close and reopen somebody else's account", _of("compliance", "operator"), fresh=True
    ),
    "account.set_limits": Permission("set what somebody else's account may hold or owe", _of("operator"), fresh=True),
    # Money
    "transfer.create": Permission(
        "send money, hold it, or learn what would become of it",
        related="the owner of every account debited",
        scope="transfers:write",
    ),
    "transfer.read": Permission(
        "see a transfer, its reversals and its receipt", STAFF, "a party", scope="transfers:read"
    ),
    "transfer.list": Permission("list transfers", STAFF, "the owner of the accounts", scope="transfers:read"),
    "batch.create": Permission(
        "send a file of transfers", related="the owner of every account debited", scope="transfers:write"
    ),
    "batch.cancel": Permission("stop a file of transfers", related="who sent it", scope="transfers:write"),
    "batch.read": Permission("see what became of a file of transfers", related="who sent it", scope="transfers:read"),
    "hold.end": Permission(
        "capture or void a hold", _of("operator"), "who asked for it", scope="transfers:write", fresh=True
    ),
    "transfer.reverse": Permission(
        "give money back", _of("operator"), "who received all of it", scope="transfers:write", fresh=True
    ),
    "deposit.create": Permission(
        "credit somebody else from the reserve", _of("operator"), scope="treasury:write", fresh=True
    ),
    "withdrawal.create": Permission(
        "debit somebody else to the reserve", _of("operator"), scope="treasury:write", fresh=True
    ),
    "fee_schedule.read": Permission("see a fee schedule", related="anybody logged in", scope="transfers:read"),
    "fee_schedule.publish": Permission("publish a fee schedule", _of("operator"), fresh=True),
    # Events
    "event.stream": Permission(
        "be told what happens to one's own transfers and accounts", related="a party", scope="events:read"
    ),
    "webhook.read": Permission(
        "see one's own webhooks and what was sent to them", related="the owner", scope="webhooks:read"
    ),
    "webhook.create": Permission(
        "have one's own events sent somewhere", related="anybody logged in", scope="webhooks:write"
    ),
    "webhook.change": Permission("change where they are sent, and which", related="the owner", scope="webhooks:write"),
    "webhook.rotate": Permission("give a webhook a new secret", related="the owner", scope="webhooks:write"),
    "webhook.replay": Permission("have events sent again", related="the owner", scope="webhooks:write"),
    "webhook.test": Permission("have a test event sent", related="the owner", scope="webhooks:write"),
    "webhook.delete": Permission("have events sent there no longer", related="the owner", scope="webhooks:write"),
    # Proof
    "transparency.read": Permission("read checkpoints, keys and proofs", public=True),
    "ledger.verify": Permission(
        "verify the ledger, and see what was found", _of("auditor", "admin"), scope="ledger:read"
    ),
    "ledger.release": Permission("let a halted ledger go on", _of("admin"), fresh=True),
    "ledger.repair": Permission("set an account's row to what the journal proves, at the console", _of("admin")),
    "reconciliation.run": Permission(
        "start reconciliations and see their reports", _of("auditor", "admin"), scope="ledger:read"
    ),
    "trial_balance.read": Permission("see the trial balance", _of("auditor", "operator", "admin"), scope="ledger:read"),
    # Messages that could not be handled
    "dead_letter.list": Permission("list messages that could not be handled, at the console", _of("admin")),
    "dead_letter.read": Permission("see one of them with its payload, at the console", _of("admin")),
    "dead_letter.replay": Permission("have one of them handled again, at the console", _of("admin")),
    "dead_letter.discard": Permission("give one of them up, at the console", _of("admin")),
    # The audit log
    "audit.read": Permission("read who did what, from where", _of("auditor", "compliance", "admin")),
    # Screening and verification of customers
    # Not support: it speaks with those whom a rule suspects. The transfer itself tells it what became of that, the code
    # and a sentence, as the customer is told.
    "decision.read": Permission(
        "see why a transfer was approved, held or blocked, by which rules, values and lists",
        _of("compliance", "auditor", "admin"),
        scope="fraud:read",
    ),
    "fraud_statistics.read": Permission(
        "count decisions, and what other rules would have decided",
        _of("compliance", "operator", "support", "auditor", "admin"),
        scope="fraud:read",
    ),
    "ruleset.read": Permission(
        "see the rules, and what those in the shadow would have decided",
        _of("compliance", "auditor", "admin"),
        scope="fraud:read",
    ),
    "ruleset.write": Permission("write rules", _of("compliance"), fresh=True),
    "ruleset.approve": Permission("approve rules that somebody else wrote", _of("compliance", "admin"), fresh=True),
    "ruleset.publish": Permission(
        "put rules live, approved by another where it takes two, or let them judge in the shadow",
        _of("compliance"),
        fresh=True,
    ),
    "list_entry.read": Permission(
        "see who is frozen, denied, allowed or snoozed",
        _of("compliance", "auditor", "admin"),
        scope="fraud:read",
    ),
    "list_entry.change": Permission("freeze, deny, allow or snooze somebody else", _of("compliance"), fresh=True),
    "limits.read": Permission(
        "see what one may send, and how much of it is used", related="the customer himself", scope="transfers:read"
    ),
    "limit_policy.read": Permission(
        "see the limits of profiles and tiers, and what assets are worth",
        _of("compliance", "operator", "support", "auditor", "admin"),
        scope="fraud:read",
    ),
    "limit_policy.set": Permission("set the limits of a profile or a tier", _of("compliance"), fresh=True),
    "usd_rate.set": Permission("say what an asset is worth in US dollars", _of("compliance", "operator"), fresh=True),
    "personal_limits.read": Permission(
        "see what somebody else may send, and how much of it is used",
        _of("compliance", "support", "auditor", "admin"),
        scope="fraud:read",
    ),
    "personal_limits.set": Permission("give somebody else limits of his own", _of("compliance"), fresh=True),
    "review.read": Permission("see transfers held for a review", _of("compliance", "auditor", "admin")),
    "review.decide": Permission(
        "claim such a review, comment on it, approve or reject the transfer", _of("compliance"), fresh=True
    ),
    "aml_figures.read": Permission(
        "see what payments are looked through for after posting",
        _of("compliance", "auditor", "admin"),
        scope="fraud:read",
    ),
    "aml_figures.propose": Permission("propose what they are looked through for", _of("compliance"), fresh=True),
    "aml_figures.approve": Permission(
        "put in force what somebody else proposed to look for", _of("compliance", "admin"), fresh=True
    ),
    "alert.read": Permission("see what was found after posting, about somebody else", _of("compliance", "auditor")),
    "alert.decide": Permission(
        "claim, note and close what was found about somebody else", _of("compliance"), fresh=True
    ),
    "verification.apply": Permission("ask to be verified", _of("customer"), scope="kyc:write"),
    "verification.provide": Permission("say that what one was asked for is there", _of("customer"), scope="kyc:write"),
    "verification.request_tier": Permission(
        "ask for a higher tier, or ask for it no more", _of("customer"), scope="kyc:write"
    ),
    "verification.read": Permission(
        "see how one's own verification stands", related="the customer himself", scope="kyc:read"
    ),
    "verification.read_application": Permission(
        "see what one said of oneself to be verified", related="the customer himself"
    ),
    "document.send": Permission("send documents that prove who one is", _of("customer")),
    "document.list": Permission("see which documents one has sent", related="the customer himself", scope="kyc:read"),
    "document.remove": Permission("take a document of one's own back", related="the customer himself"),
    "document.list_of_customer": Permission(
        "see which documents somebody else has sent", _of("compliance"), fresh=True
    ),
    "document.read": Permission("look at a document of somebody else's", _of("compliance"), fresh=True),
    "verification.list_reviews": Permission("see who waits to be reviewed", _of("compliance", "auditor")),
    "verification.read_applicant": Permission(
        "see what somebody else said of himself to be verified", _of("compliance"), fresh=True
    ),
    "verification.claim": Permission("take somebody else's application to review", _of("compliance"), fresh=True),
    "verification.give_back": Permission("give an application back to the queue", _of("compliance"), fresh=True),
    "verification.review": Permission(
        "approve, reject, decline, ask or suspend somebody else who wants to be verified", _of("compliance"), fresh=True
    ),
    "verification.change_risk": Permission(
        "say whether it takes two to approve somebody else", _of("compliance"), fresh=True
    ),
    # The documents of the interface itself
    "api.read": Permission("read what the interface offers", public=True),
}
