"""Which settings each service gets from the stack, as environment variables with the service's own prefix."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from tallystick.stack.ledger_trust import AUDIT_ORIGIN
from tallystick.stack.ports import LOOPBACK
from tallystick.stack.stack_secrets import KeyFiles, StackSecrets


@dataclass(frozen=True)
class StackPlan:
    """Everything that is decided before the first service starts, and stays while `up` runs."""

    postgres: str
    """The administrator's DSN."""
    kafka: str
    kafka_idempotence: bool
    ports: Mapping[str, int]
    secrets: StackSecrets
    keys: KeyFiles
    checkpoints: Path
    """Where the ledger keeps its newest checkpoint outside the database."""
    mail: Path
    """Where accounts writes the mails that it would send."""
    documents: Path
    """Where kyc keeps the sealed files of documents."""
    rate_limits: bool
    velocity_limits: bool

    def url_of(self, service: str) -> str:
        """Return the base address of the service."""
        return f"http://{LOOPBACK}:{self.ports[service]}"


def service_settings(service: str, plan: StackPlan) -> dict[str, str]:
    """Return the environment variables of the service (`LEDGER_HTTP_PORT` …), its own secrets and no other's."""
    common = {
        "POSTGRES_DSN": dsn_of_role(plan.postgres, f"tallystick_{service}", plan.secrets.role_passwords[service]),
        "HTTP_HOST": LOOPBACK,
        "HTTP_PORT": str(plan.ports[service]),
        "KAFKA": plan.kafka,
        "KAFKA_IDEMPOTENCE": _flag(plan.kafka_idempotence),
        **_kafka_timing(plan),
        "JWKS_FILE": str(plan.keys.jwks),
        "INTERNAL_TOKEN": plan.secrets.internal_token,
        "METRICS_TOKEN_FILE": str(plan.keys.metrics),
        # Nothing stands before the gateway here, and nobody but the gateway before the others.
        "TRUSTED_PROXIES": "" if service == "gateway" else f"{LOOPBACK}/32",
    }
    return {f"{service.upper()}_{name}": value for name, value in (common | _own_settings(service, plan)).items()}


def _kafka_timing(plan: StackPlan) -> dict[str, str]:
    """Return what the two kinds of broker want.

    The local one looks for records at intervals of half of what is left of a fetch's wait; it takes half the session
    to let a group join, and three times as long for static members. Kafka answers at once and gives a restarted static
    member its partitions back at once, where a new one would wait for the dead one's session.
    """
    if plan.kafka_idempotence:
        return {"KAFKA_SESSION_TIMEOUT_MS": "6000", "KAFKA_INSTANCE": "local"}
    return {
        "KAFKA_SESSION_TIMEOUT_MS": "3000",
        "KAFKA_FETCH_MAX_WAIT_MS": "2",
        "KAFKA_PATIENT_FETCH_MAX_WAIT_MS": "400",
    }


def _own_settings(service: str, plan: StackPlan) -> dict[str, str]:
    match service:
        case "ledger":
            return {
                "SIGNING_KEY_FILE": str(plan.keys.ledger_signing),
                "RETIRED_VKEYS_FILE": str(plan.keys.ledger_retired),
                "ORIGIN": plan.secrets.ledger_origin,
                "CHECKPOINT_DIR": str(plan.checkpoints),
            } | {f"{name.upper()}_URL": plan.url_of(name) for name in plan.ports if name != "ledger"}
        case "accounts":
            return {
                "MASTER_KEYS_FILE": str(plan.keys.accounts_master),
                "TOKEN_KEY_FILE": str(plan.keys.access_token),
                "ADMIN_EMAIL": plan.secrets.admin_email,
                "ADMIN_PASSWORD": plan.secrets.admin_password,
                "MAIL_FOLDER": str(plan.mail),
            } | {f"{name.upper()}_URL": plan.url_of(name) for name in ("gateway", "ledger")}
        case "fraud":
            return {
                "ACCOUNTS_URL": plan.url_of("accounts"),
                "VELOCITY_LIMITS_LIFTED": _flag(not plan.velocity_limits),
            }
        case "kyc":
            return {
                "ACCOUNTS_URL": plan.url_of("accounts"),
                "MASTER_KEYS_FILE": str(plan.keys.kyc_master),
                "DOCUMENTS_URL": plan.documents.as_uri(),
            }
        case "gateway":
            urls = {f"{name.upper()}_URL": plan.url_of(name) for name in plan.ports if name != "gateway"}
            return urls | {
                "RATE_LIMITS": _flag(plan.rate_limits),
                "AUDIT_KEY_FILE": str(plan.keys.audit_signing),
                "AUDIT_ORIGIN": AUDIT_ORIGIN,
                "AUDIT_WITNESS_FILE": str(plan.checkpoints / "audit.checkpoint"),
                "WEBHOOK_KEYS_FILE": str(plan.keys.webhooks),
                # Whoever tries webhooks here listens on this very machine.
                "WEBHOOK_ALLOWED_HOSTS": f"{LOOPBACK},localhost",
            }
        case _:
            return {}


def dsn_of_role(admin_dsn: str, role: str, password: str) -> str:
    """Return the administrator's DSN with another role and password; server, database and options stay."""
    parts = urlsplit(admin_dsn)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(role, safe='')}:{quote(password, safe='')}@{host}"))


def dsn_without_password(dsn: str) -> str:
    """Return the DSN as it may be printed."""
    parts = urlsplit(dsn)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}@{host}" if user else host))


def _flag(value: bool) -> str:
    return "true" if value else "false"
