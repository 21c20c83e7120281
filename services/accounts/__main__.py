"""`python -m services.accounts serve | api | worker | migrate`."""

from libs.common.service import run_service
from services.accounts.app import build
from services.accounts.settings import AccountsSettings

if __name__ == "__main__":
    run_service("accounts", AccountsSettings, build)
