"""As tests/faults/test_passing.py, with every other fault that passes."""

import pytest

from tests.faults.matrix import WAYS, NewWorld, assert_all_ends_as_ever
from tests.faults.tally import Tally


@pytest.mark.parametrize(("name", "later"), WAYS)
def test_temporary_fault_does_not_change_the_result(name: str, later: bool, new_world: NewWorld, tally: Tally) -> None:
    assert_all_ends_as_ever(name, new_world, tally, later=later, classes=False)
