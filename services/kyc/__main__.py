"""`python -m services.kyc serve | api | worker | migrate`."""

from libs.common.service import run_service
from services.kyc.app import build
from services.kyc.settings import KycSettings

if __name__ == "__main__":
    run_service("kyc", KycSettings, build)
