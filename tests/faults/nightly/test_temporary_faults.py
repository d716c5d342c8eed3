"""As tests/faults/test_temporary_faults.py, with every other temporary fault."""

import pytest

from tests.faults.matrix import WAYS, NewSimulation, assert_nothing_changes
from tests.faults.tally import Tally


@pytest.mark.parametrize(("name", "later"), WAYS)
def test_temporary_fault_does_not_change_the_result(
    name: str, later: bool, new_simulation: NewSimulation, tally: Tally
) -> None:
    assert_nothing_changes(name, new_simulation, tally, later=later, classes=False)
