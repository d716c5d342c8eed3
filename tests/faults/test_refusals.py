"""Every trigger, at every point of failure, with a refusal of the service: it is reported, and not retried."""

import pytest

from tests.faults.injection import REFUSALS
from tests.faults.matrix import (
    WAYS,
    NewSimulation,
    broken_rules,
    changes,
    combinations,
    name_of,
    run_with_fault,
    wrong_final_report,
    wrong_report,
)
from tests.faults.scenarios import SCENARIOS
from tests.faults.tally import Tally

CODES = {
    "denied": "AccessDeniedException",
    "unknown error with 400": "NeverHeardOfException",
    "unknown error with 409": "NeverHeardOfException",
}


@pytest.mark.parametrize(("name", "later"), WAYS)
def test_refusal_is_reported(name: str, later: bool, new_simulation: NewSimulation, tally: Tally) -> None:
    scenario = SCENARIOS[name]
    for at, point, fault in combinations(scenario.points(later=later), REFUSALS):
        simulation = run_with_fault(new_simulation, scenario, fault, at, later=later)
        match point.refused:
            case "reported":
                wrong = wrong_report(simulation, scenario, "UNSETTLED", CODES[fault.name])
            case "rejected":
                wrong = wrong_report(simulation, scenario, "REJECTED", CODES[fault.name])
            case "final" if fault.name == "denied":  # Lambda retries an unknown error
                wrong = wrong_final_report(simulation, scenario, CODES[fault.name])
            case _:
                wrong = changes(simulation, scenario)
        tally.add(name, name_of(at, point, later=later), str(fault), [*broken_rules(simulation, scenario), *wrong])
    tally.assert_nothing_lost()


def test_matrix_has_all_combinations() -> None:
    each = [list(combinations(SCENARIOS[name].points(later=later), REFUSALS)) for name, later in WAYS]
    assert sum(map(len, each)) == 1287
