"""Staff change the figures of the AML watch: one proposes, another puts them in force."""

from dataclasses import replace

from libs.common.approvals.keep_approvals import keep_approvals
from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import NotFound
from services.fraud.domain.aml_parameters import AmlParameters, AmlProposal, check_approval, check_figures
from services.fraud.store.aml_proposals import (
    find_in_force,
    find_proposal,
    lock_proposals,
    next_version,
    put_in_force,
    save_proposal,
)


class ChangeAmlFigures:
    """Proposes and approves. What is looked for decides what anybody sees, so it always takes two people.

    Locks: all figures; for an approval, then, what voids approvals. Raises: Unavailable.
    """

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def propose(self, *, asker: Asker, profile: str, figures: AmlParameters, reason: str) -> AmlProposal:
        """Store figures that do not judge yet. Raises: Unprocessable `aml_figures_contradict`."""
        check_figures(figures)
        async with self._uow.begin() as tx:
            connection = await tx.driver()
            await lock_proposals(connection)
            now = self._clock()
            numbered = replace(figures, version=await next_version(connection))
            proposal = AmlProposal(profile, numbered, reason, asker.actor_id, now, None, None)
            await save_proposal(connection, proposal)
            facts = {"profile": profile, "reason": reason}
            resource = ("aml_figures", str(numbered.version))
            await record(tx, asker, "aml_figures.propose", at=now, resource=resource, facts=facts)
        return proposal

    async def approve(self, *, asker: Asker, profile: str, version: int, reason: str) -> AmlProposal:
        """Put figures in force, from the watch's next page of payments on. What was judged before is not judged again.

        Raises: NotFound `aml_figures_not_found`; what `check_approval` raises.
        """
        async with self._uow.begin() as tx:
            connection = await tx.driver()
            await lock_proposals(connection)
            await keep_approvals(tx)  # the database looks once more whether the proposal counts
            proposal = await find_proposal(connection, profile, version)
            if proposal is None:
                raise NotFound("aml_figures_not_found", "This profile has no figures of this version.")
            before = await find_in_force(connection, profile)
            check_approval(proposal, approver=asker.actor_id, version_in_force=before.parameters.version)
            now = self._clock()
            await put_in_force(connection, proposal, approver=asker.actor_id, reason=reason, at=now)
            facts = {"profile": profile, "before": before.parameters.version, "reason": reason}
            resource = ("aml_figures", str(version))
            await record(tx, asker, "aml_figures.approve", at=now, resource=resource, facts=facts)
        return replace(proposal, approved_by=asker.actor_id, approved_at=now)
