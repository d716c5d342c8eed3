"""As tests/faults/test_deliveries.py, with a response that is lost after the service acted."""

import pytest

from tests.faults.injection import LOST
from tests.faults.matrix import NewSimulation
from tests.faults.tally import Tally
from tests.faults.test_deliveries import DELIVERIES, assert_as_if_delivered_once


@pytest.mark.parametrize("name", DELIVERIES)
def test_repeated_delivery_does_not_change_the_result(name: str, new_simulation: NewSimulation, tally: Tally) -> None:
    assert_as_if_delivered_once(name, [LOST], new_simulation, tally)
