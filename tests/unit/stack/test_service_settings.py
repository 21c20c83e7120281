"""What each service is told by the stack, and what it is not told."""

from pathlib import Path

import pytest

from tallystick.stack.service_settings import StackPlan, dsn_of_role, dsn_without_password, service_settings
from tallystick.stack.stack_secrets import SERVICES, KeyFiles, StackSecrets


def plan(*, rate_limits: bool = True, velocity_limits: bool = True, kafka_idempotence: bool = False) -> StackPlan:
    return StackPlan(
        postgres="postgresql://tallystick:root-pw@/tallystick?host=/run/pg&port=15432",
        kafka="127.0.0.1:19092",
        kafka_idempotence=kafka_idempotence,
        ports={name: 17000 + place for place, name in enumerate(SERVICES)},
        secrets=StackSecrets(
            role_passwords={name: f"{name}-pw" for name in SERVICES},
            internal_token="between us",
            admin_email="admin@tallystick.example",
            admin_password="admin-pw",
            ledger_origin="tallystick.local/00c0ffee",
        ),
        keys=KeyFiles(
            audit_signing=Path("/keys/audit.pem"),
            ledger_signing=Path("/keys/ledger.pem"),
            ledger_retired=Path("/keys/retired.vkeys"),
            access_token=Path("/keys/token.pem"),
            jwks=Path("/keys/jwks.json"),
            accounts_master=Path("/keys/accounts-master.keys"),
            kyc_master=Path("/keys/kyc-master.keys"),
            webhooks=Path("/keys/webhooks.keys"),
            metrics=Path("/keys/metrics.token"),
        ),
        checkpoints=Path("/checkpoints"),
        mail=Path("/mail"),
        documents=Path("/documents"),
        rate_limits=rate_limits,
        velocity_limits=velocity_limits,
    )


@pytest.mark.parametrize("service", SERVICES)
def test_every_variable_carries_the_service_s_prefix(service: str) -> None:
    assert all(name.startswith(f"{service.upper()}_") for name in service_settings(service, plan()))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_gets_its_own_database_role_and_no_other_password(service: str) -> None:
    told = " ".join(service_settings(service, plan()).values())
    assert f"postgresql://tallystick_{service}:{service}-pw@/tallystick?host=/run/pg&port=15432" in told
    assert "root-pw" not in told
    assert [name for name in SERVICES if f"{name}-pw" in told] == [service]


def test_only_the_ledger_may_sign_checkpoints_and_only_accounts_may_make_tokens() -> None:
    told = {service: " ".join(service_settings(service, plan()).values()) for service in SERVICES}
    assert [service for service in SERVICES if "/keys/ledger.pem" in told[service]] == ["ledger"]
    assert [service for service in SERVICES if "/keys/token.pem" in told[service]] == ["accounts"]
    assert [service for service in SERVICES if "/keys/accounts-master.keys" in told[service]] == ["accounts"]
    assert [service for service in SERVICES if "admin-pw" in told[service]] == ["accounts"]


def test_the_gateway_knows_where_the_four_others_answer() -> None:
    settings = service_settings("gateway", plan())
    urls = {name: value for name, value in settings.items() if name.endswith("_URL")}
    assert urls == {
        "GATEWAY_ACCOUNTS_URL": "http://127.0.0.1:17000",
        "GATEWAY_KYC_URL": "http://127.0.0.1:17001",
        "GATEWAY_LEDGER_URL": "http://127.0.0.1:17002",
        "GATEWAY_FRAUD_URL": "http://127.0.0.1:17003",
    }


def test_the_ledger_knows_whose_digests_it_compares() -> None:
    urls = {name: value for name, value in service_settings("ledger", plan()).items() if name.endswith("_URL")}
    assert urls.keys() == {f"LEDGER_{name}_URL" for name in ("GATEWAY", "ACCOUNTS", "FRAUD", "KYC")}


def test_limits_stand_unless_they_are_lifted() -> None:
    assert service_settings("gateway", plan())["GATEWAY_RATE_LIMITS"] == "true"
    assert service_settings("fraud", plan())["FRAUD_VELOCITY_LIMITS_LIFTED"] == "false"
    lifted = plan(rate_limits=False, velocity_limits=False)
    assert service_settings("gateway", lifted)["GATEWAY_RATE_LIMITS"] == "false"
    assert service_settings("fraud", lifted)["FRAUD_VELOCITY_LIMITS_LIFTED"] == "true"


@pytest.mark.parametrize("idempotence", [True, False])
def test_idempotent_producing_follows_the_broker(*, idempotence: bool) -> None:
    settings = service_settings("kyc", plan(kafka_idempotence=idempotence))
    assert settings["KYC_KAFKA_IDEMPOTENCE"] == str(idempotence).lower()


def test_a_role_s_dsn_keeps_server_database_and_options() -> None:
    dsn = dsn_of_role("postgresql://boss:old@db.example:5433/money?sslmode=require", "clerk", "p@ss/word")
    assert dsn == "postgresql://clerk:p%40ss%2Fword@db.example:5433/money?sslmode=require"


def test_a_dsn_is_printed_without_its_password() -> None:
    assert dsn_without_password("postgresql://boss:old@/money?host=/run") == "postgresql://boss@/money?host=/run"
    assert dsn_without_password("postgresql://db.example/money") == "postgresql://db.example/money"
