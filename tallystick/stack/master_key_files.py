"""Where commands find the master keys of accounts and kyc, which seal personal data."""

from pathlib import Path
from typing import Final, Literal

from libs.common.errors import InvariantBroken
from libs.common.personal.master_keys import MasterKeyFile
from libs.common.personal.sealing import Sealer
from tallystick.stack.errors import StackError

ACCOUNTS_KEYS_HELP: Final = "Master keys of accounts; else those in the folder."
KYC_KEYS_HELP: Final = "Master keys of kyc; else those in the folder."


def read_master_keys(named: Path | None, folder: Path, service: Literal["accounts", "kyc"]) -> Sealer:
    """Return what seals as the service does: by the file that was named, else by the data folder's.

    None is made: what another key seals the service could not read. Raises: StackError.
    """
    path = named or folder / "keys" / f"{service}-master.keys"
    try:
        return Sealer(MasterKeyFile(path).load())
    except (OSError, InvariantBroken) as error:
        option = "--master-keys" if service == "accounts" else "--kyc-master-keys"
        raise StackError(f"no master keys of {service}: {error}; name their file with {option}, or --data") from error
