"""Another process of a service beside that of a running stack: same database, same broker, another port."""

from pathlib import Path
from urllib.parse import urlsplit

from tallystick.stack.ledger_trust import CHECKPOINTS
from tallystick.stack.service_settings import StackPlan, service_settings
from tallystick.stack.stack_file import find_stack
from tallystick.stack.stack_secrets import load_or_make_keys, load_or_make_secrets


def settings_of_another(
    folder: Path, service: str, port: int, *, kafka_idempotence: bool, velocity_limits: bool
) -> dict[str, str]:
    """Return what the stack that runs on the folder gives its own process of the service, but for the port."""
    stack = find_stack(folder, {})
    ports = {name: urlsplit(address.url).port for name, address in stack.services.items()}
    plan = StackPlan(
        postgres=stack.postgres,
        kafka=stack.kafka,
        kafka_idempotence=kafka_idempotence,
        ports={name: number for name, number in ports.items() if number} | {service: port},
        secrets=load_or_make_secrets(folder),
        keys=load_or_make_keys(folder / "keys"),
        checkpoints=folder / CHECKPOINTS,
        mail=folder / "mail",
        documents=folder / "documents",
        rate_limits=False,
        velocity_limits=velocity_limits,
    )
    return service_settings(service, plan)
