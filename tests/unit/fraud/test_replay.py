"""What a replay keeps of a decision, and what it cannot say."""

import pytest

from services.fraud.domain.features import CATALOGUE
from services.fraud.domain.replay import FeaturesMissing, replay
from services.fraud.domain.ruleset_reading import read_ruleset
from services.fraud.domain.rulesets import Ruleset
from services.fraud.domain.stored_features import Features
from tests.integration.fraud.random_decisions import RULES

RULESET = Ruleset(2, read_ruleset(RULES))


def _features(
    usd_minor: int, *, values: int = len(CATALOGUE), kind: str = "transfer", denied: bool = False
) -> Features:
    return Features(
        kind=kind,
        amounts_minor={"USD": usd_minor},
        rates={"USD": (1, 1)},
        payees=[("payee", 1, 1)],
        values=[[usd_minor, *([0] * (values - 1))]] if values else [],
        denied=denied,
    )


@pytest.mark.parametrize("code", ["kyc_required", "asset_without_rate", "daily_amount_limit_exceeded"])
def test_what_came_before_the_rules_stays(code: str) -> None:
    ruling, outcome = replay(_features(500_00), code, RULESET)
    assert (ruling.verdict, ruling.code) == ("block", code)
    assert outcome.hits == ("round", "large"), "what they would have said is still told"


def test_what_a_list_forbade_stays_though_rules_would_let_it_pass() -> None:
    assert replay(_features(1, denied=True), "transfer_not_permitted", RULESET).ruling.verdict == "block"
    assert replay(_features(1), "transfer_not_permitted", RULESET).ruling.verdict == "approve", "rules had blocked it"


def test_a_deposit_is_no_matter_of_rules() -> None:
    assert replay(_features(500_00, kind="deposit"), "", RULESET).ruling.verdict == "approve"


def test_a_decision_older_than_a_feature_cannot_be_made_again() -> None:
    assert replay(_features(500_00, values=1), "", RULESET).ruling.verdict == "block", "they ask for the first alone"
    with pytest.raises(FeaturesMissing):
        replay(_features(500_00, values=0), "", RULESET)
    assert replay(_features(500_00, values=0), "", None).ruling.verdict == "approve"
    assert replay(_features(500_00, values=0), "kyc_required", RULESET).ruling.verdict == "block"
