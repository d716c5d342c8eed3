"""Every trigger, at every point of failure, with each class of temporary faults: the result does not change.

The points are the calls of all invocations of one event: from its first delivery, and again from the backlog, if its
first invocation could not begin. nightly/test_temporary_faults.py has every other fault.
"""

import pytest

from tests.faults.matrix import WAYS, NewSimulation, assert_nothing_changes, temporary_combinations
from tests.faults.tally import Tally


@pytest.mark.parametrize(("name", "later"), WAYS)
def test_temporary_fault_does_not_change_the_result(
    name: str, later: bool, new_simulation: NewSimulation, tally: Tally
) -> None:
    assert_nothing_changes(name, new_simulation, tally, later=later, classes=True)


@pytest.mark.parametrize(("classes", "number"), [(True, 2514), (False, 7261)], ids=["gate", "nightly"])
def test_matrix_has_all_combinations(classes: bool, number: int) -> None:
    each = [temporary_combinations(name, later=later, classes=classes) for name, later in WAYS]
    assert len(WAYS) == 47
    assert sum(map(len, each)) == number
