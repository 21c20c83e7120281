"""`python -m services.ledger serve | api | worker | migrate`."""

from libs.common.service import run_service
from services.ledger.app import build
from services.ledger.settings import LedgerSettings

if __name__ == "__main__":
    run_service("ledger", LedgerSettings, build)
