"""The customers whose newest payments are in memory. What is not there is read from the table."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from services.fraud.domain.aml_edges import Edge, Ring

CUSTOMERS_MAX: Final = 50_000
EDGES_KEPT_MAX: Final = 300_000


class Rings:
    """The most recently used customers, bounded in number and in payments (about 500 bytes each)."""

    def __init__(self, *, customers_max: int = CUSTOMERS_MAX, edges_max: int = EDGES_KEPT_MAX) -> None:
        """Start empty, before the first payment."""
        self._rings: OrderedDict[str, Ring] = OrderedDict()
        self._customers_max = customers_max
        self._edges_max = edges_max
        self.edges = 0
        """How many payments are remembered; one between two who are counts twice."""

    def __len__(self) -> int:
        """Return how many customers are remembered."""
        return len(self._rings)

    def get(self, user_id: str) -> Ring | None:
        """Return the payments of somebody who is remembered, and count this as a use."""
        ring = self._rings.get(user_id)
        if ring is not None:
            self._rings.move_to_end(user_id)
        return ring

    def put(self, user_ids: Iterable[str], outs: Iterable[Edge], ins: Iterable[Edge]) -> None:
        """Remember these customers as they were just read, with what they sent and what they received."""
        read = {user_id: Ring() for user_id in user_ids}
        for edge in sorted(outs, key=lambda one: one.key):
            read[str(edge.payer_id)].outs.append(edge)
        for edge in sorted(ins, key=lambda one: one.key):
            read[str(edge.payee_id)].ins.append(edge)
        for user_id, ring in read.items():
            before = self._rings.pop(user_id, None)
            self.edges += len(ring) - (0 if before is None else len(before))
            self._rings[user_id] = ring

    def follow(self, edges: Iterable[Edge]) -> None:
        """Take in payments that were just stored, with those who are remembered."""
        for edge in edges:
            payer = self._rings.get(edge.payer_id) if edge.payer_id else None
            if payer is not None:
                self.edges += payer.add(edge, is_out=True)
            payee = self._rings.get(edge.payee_id) if edge.payee_id else None
            if payee is not None:
                self.edges += payee.add(edge, is_out=False)

    def forget(self) -> None:
        """Forget everybody."""
        self._rings.clear()
        self.edges = 0

    def shrink(self) -> None:
        """Keep within the bounds; the longest unused go first."""
        while len(self._rings) > self._customers_max or self.edges > self._edges_max:
            _, dropped = self._rings.popitem(last=False)
            self.edges -= len(dropped)
