"""Who paid whom, and one customer's newest payments in either direction, in the order of their posting."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from operator import attrgetter
from typing import Final, NamedTuple

# tidy: allow impure-value-code: values without a dictionary, made by the thousand and not looked at by the collector
import msgspec

EDGES_MAX: Final = 1_000
"""How many payments of one customer are looked back upon, in each direction: more than a retail customer can send in
a week; of more, the newest."""

HOUR_US: Final = 3_600_000_000


class Payment(NamedTuple):
    """What one transfer moved from one customer to another, before it is kept; the first fields of an `Edge`."""

    posted_us: int
    shard: int
    journal_index: int
    place: int
    transfer_id: str
    payer_id: str | None
    payee_id: str | None
    usd_minor: int


class Edge(msgspec.Struct, frozen=True, gc=False):
    """One payment: what one transfer moved from one customer to another. None is nobody: a deposit, a withdrawal.

    `place` counts a transfer's payees. Times are µs since 1970 UTC; `known_since_us` is when this payer first paid
    this payee. `edge_no` counts payments in the order in which they were heard of.
    """

    posted_us: int
    shard: int
    journal_index: int
    place: int
    transfer_id: str
    payer_id: str | None
    payee_id: str | None
    usd_minor: int
    known_since_us: int
    edge_no: int

    @property
    def key(self) -> tuple[int, int, int, int]:
        """Return where it stands among others, however they arrived."""
        return (self.posted_us, self.shard, self.journal_index, self.place)

    @property
    def record(self) -> tuple[int, int, int]:
        """Return what it is told apart by: the journal's record, and the place in it."""
        return (self.shard, self.journal_index, self.place)


_posted_us: Final = attrgetter("posted_us")
_key: Final = attrgetter("posted_us", "shard", "journal_index", "place")


def posted_since(edges: Sequence[Edge], since_us: int) -> Sequence[Edge]:
    """Return the payments, of these in order, that were posted at this moment or later."""
    return edges[bisect_left(edges, since_us, key=_posted_us) :]


class Ring:
    """One customer's newest payments, out and in, each in order and at most `EDGES_MAX`.

    `proven` is typology → numbers of payments that an alert on him is known to have.
    """

    __slots__ = ("ins", "outs", "proven")

    def __init__(self) -> None:
        """Begin with none."""
        self.outs: list[Edge] = []
        self.ins: list[Edge] = []
        self.proven: dict[str, set[int]] = {}

    def __len__(self) -> int:
        """Return how many payments are kept."""
        return len(self.outs) + len(self.ins)

    def add(self, edge: Edge, *, is_out: bool) -> int:
        """Put a payment that is new where it belongs; the oldest goes when there are too many. Returns the growth."""
        edges = self.outs if is_out else self.ins
        if edges and edge.posted_us <= edges[-1].posted_us:
            insort(edges, edge, key=_key)
        else:
            edges.append(edge)
        if len(edges) <= EDGES_MAX:
            return 1
        del edges[0]
        return 0


class Due(msgspec.Struct, frozen=True, gc=False):
    """Which payments are to be judged: posted at this moment or later, and heard of by this number.

    Each is judged by what was posted up to itself. What came late moves `since_us` back, so that what had been judged
    without it is judged again.
    """

    since_us: int
    up_to_no: int

    def has(self, edge: Edge) -> bool:
        """Tell whether this one is to be judged."""
        return edge.posted_us >= self.since_us and edge.edge_no <= self.up_to_no


class Finding(msgspec.Struct, frozen=True, gc=False):
    """A pattern among one customer's payments: those that prove it, in order, each once. `score` is 0 to 100."""

    typology: str
    subject_id: str
    edges: Sequence[Edge]
    score: int


class Proof:
    """Collects what proves a pattern while a window moves over payments in their order."""

    __slots__ = ("_edges", "_upto", "score")

    def __init__(self) -> None:
        """Begin with nothing proven."""
        self._edges: list[Edge] = []
        self._upto = 0
        self.score = 0

    def add(self, edges: Sequence[Edge], begin: int, end: int, score: int) -> None:
        """Take in `edges[begin:end]`, a window that fits the pattern; neither of its bounds goes back."""
        self._edges.extend(edges[max(begin, self._upto) : end])
        self._upto = end
        self.score = max(self.score, min(100, score))

    @property
    def edges(self) -> list[Edge]:
        """Return what was taken in, in order, each once."""
        return self._edges


def finding_of(typology: str, subject_id: str, proofs: Sequence[Proof]) -> Finding | None:
    """Return what was proven together, None if nothing was."""
    given = [proof for proof in proofs if proof.edges]
    if not given:
        return None
    if len(given) == 1:
        return Finding(typology, subject_id, given[0].edges, given[0].score)
    edges = {edge.record: edge for proof in given for edge in proof.edges}
    score = max(proof.score for proof in given)
    return Finding(typology, subject_id, sorted(edges.values(), key=_key), score)
