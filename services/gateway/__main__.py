"""`python -m services.gateway serve | api | worker | migrate`."""

from libs.common.service import run_service
from services.gateway.app import build
from services.gateway.settings import GatewaySettings

run_service("gateway", GatewaySettings, build)
