"""The figures of the AML watch as staff see them."""

from libs.common.db.reading import Reading
from services.fraud.domain.aml_parameters import AmlProposal
from services.fraud.store.aml_proposals import find_in_force, list_proposals


class AmlFigures:
    """Reads what is in force and what was proposed. Raises: Unavailable."""

    def __init__(self, reading: Reading) -> None:
        """Use connections for reading, not the one that watches."""
        self._reading = reading

    async def in_force(self, profile: str) -> AmlProposal:
        """Return the figures by which a profile is judged."""
        async with self._reading.connection() as connection:
            return await find_in_force(connection, profile)

    async def page(self, profile: str, *, below: int, limit: int) -> tuple[list[AmlProposal], int]:
        """Return a page of a profile's figures, newest first, and the version in force."""
        async with self._reading.connection() as connection:
            found = await list_proposals(connection, profile, below=below, limit=limit)
            return found, (await find_in_force(connection, profile)).parameters.version
