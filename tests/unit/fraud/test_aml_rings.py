"""What memory keeps of customers' payments."""

import random
from dataclasses import dataclass, field

from services.fraud.domain.aml_edges import Edge
from services.fraud.store.aml_rings import Rings


@dataclass
class Table:
    """What stands in the database."""

    edges: list[Edge] = field(default_factory=list)

    def grow(self, payer: str, payee: str | None) -> Edge:
        number = self.edges[-1].edge_no + 1 if self.edges else 1
        edge = Edge(number, 0, number, 0, f"transfer-{number}", payer, payee, 1, number, number)
        self.edges.append(edge)
        return edge

    def recall(self, rings: Rings, *people: str) -> None:
        outs = [edge for edge in self.edges if edge.payer_id in people]
        rings.put(people, outs, [edge for edge in self.edges if edge.payee_id in people])


def test_memory_follows_what_is_stored_about_those_it_remembers() -> None:
    rings, table = Rings(), Table()
    table.grow("ann", "ben")
    table.recall(rings, "ann")
    rings.follow([table.grow("ann", "ben"), table.grow("ben", "ann"), table.grow("ben", None)])

    ann = rings.get("ann")
    assert ann is not None
    assert ([edge.edge_no for edge in ann.outs], [edge.edge_no for edge in ann.ins]) == ([1, 2], [3])
    assert rings.get("ben") is None


def test_the_longest_unused_go_first() -> None:
    rings, table = Rings(customers_max=2), Table()
    table.recall(rings, "ann", "ben", "cat")
    rings.get("ann")
    rings.shrink()
    assert rings.get("ben") is None
    assert rings.get("ann") is not None


def test_neither_bound_is_passed_and_the_count_is_exact_whatever_comes() -> None:
    chance = random.Random(3)
    people = [f"user-{number}" for number in range(30)]
    rings, table = Rings(customers_max=12, edges_max=60), Table()
    for _ in range(3_000):
        payer, payee = chance.sample(people, 2)
        rings.follow([table.grow(payer, payee)])
        missing = [one for one in chance.sample(people, 3) if rings.get(one) is None]
        table.edges = table.edges[-40:]
        if missing:
            table.recall(rings, *missing)
        if chance.random() < 0.05:
            table.recall(rings, *chance.sample(people, 2))
        rings.shrink()
        assert len(rings) <= 12
        assert rings.edges <= 60
        assert rings.edges == sum(len(ring) for one in people if (ring := rings.get(one)) is not None)
