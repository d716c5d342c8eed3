"""Every trigger, at every point of failure, with what the service does not want: it is told, and that is all."""

import pytest

from tests.faults.injection import REFUSALS
from tests.faults.matrix import (
    WAYS,
    NewWorld,
    as_ever,
    combinations,
    given_up,
    name_of,
    played,
    told,
    whatever_happens,
)
from tests.faults.scenarios import SCENARIOS
from tests.faults.tally import Tally

CODES = {
    "denied": "AccessDeniedException",
    "unknown error with 400": "NeverHeardOfException",
    "unknown error with 409": "NeverHeardOfException",
}


@pytest.mark.parametrize(("name", "later"), WAYS)
def test_refusal_is_reported(name: str, later: bool, new_world: NewWorld, tally: Tally) -> None:
    scenario = SCENARIOS[name]
    for at, point, fault in combinations(scenario.points(later=later), REFUSALS):
        world = played(new_world, scenario, fault, at, later=later)
        match point.refused:
            case "told":
                wrong = told(world, scenario, "UNSETTLED", CODES[fault.name])
            case "rejected":
                wrong = told(world, scenario, "REJECTED", CODES[fault.name])
            case "given-up" if fault.name == "denied":  # what nobody knows may pass, and Lambda tries again
                wrong = given_up(world, scenario, CODES[fault.name])
            case _:
                wrong = as_ever(world, scenario)
        tally.add(name, name_of(at, point, later=later), str(fault), [*whatever_happens(world, scenario), *wrong])
    tally.assert_nothing_lost()


def test_matrix_has_all_combinations() -> None:
    each = [list(combinations(SCENARIOS[name].points(later=later), REFUSALS)) for name, later in WAYS]
    assert sum(map(len, each)) == 1113
