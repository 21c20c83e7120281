"""Run the fraud service: `python -m services.fraud serve | api | worker | migrate`."""

from libs.common.service import run_service
from services.fraud.app import build, load_settings

if __name__ == "__main__":
    run_service("fraud", load_settings, build)
