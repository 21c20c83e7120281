"""The deployment files hold together as far as text can tell."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
HELM = ROOT / "deploy/helm"


def test_chart_deploys_exactly_the_services_that_exist() -> None:
    deployed = yaml.safe_load((HELM / "values.yaml").read_text())["services"]
    existing = {path.parent.name for path in ROOT.glob("services/*/__main__.py")}
    assert set(deployed) == existing


def test_chart_and_project_have_one_version() -> None:
    chart = yaml.safe_load((HELM / "Chart.yaml").read_text())
    assert f'version = "{chart["version"]}"' in (ROOT / "pyproject.toml").read_text()
    assert chart["appVersion"] == chart["version"]


def test_compose_publishes_ports_on_this_machine_only() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    ports = [port for service in compose["services"].values() for port in service["ports"]]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
