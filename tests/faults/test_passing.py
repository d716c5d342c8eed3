"""Every trigger, at every point of failure, with every fault that passes: all ends as if it had not been.

The points are counted over all that follows from one event: from its first delivery on, and once more from the backlog
on, where its first invocation could not begin. A fault of one attempt is what the SDK itself gets over; it is not tried
again from the backlog on.
"""

import pytest

from tests.faults.injection import PASSING, Lasts
from tests.faults.matrix import WAYS, NewWorld, as_ever, combinations, name_of, played, whatever_happens
from tests.faults.scenarios import SCENARIOS
from tests.faults.tally import Tally

FAULTS = {False: PASSING, True: tuple(fault for fault in PASSING if fault.lasts is Lasts.CALL)}


@pytest.mark.parametrize(("name", "later"), WAYS)
def test_all_ends_as_if_it_had_not_been(name: str, later: bool, new_world: NewWorld, tally: Tally) -> None:
    scenario = SCENARIOS[name]
    for at, point, fault in combinations(scenario.points(later=later), FAULTS[later]):
        world = played(new_world, scenario, fault, at, later=later)
        wrong = [*whatever_happens(world, scenario), *as_ever(world, scenario)]
        tally.add(name, name_of(at, point, later=later), str(fault), wrong)
    tally.assert_nothing_lost()


def test_the_matrix_has_not_shrunk() -> None:
    each = [list(combinations(SCENARIOS[name].points(later=later), FAULTS[later])) for name, later in WAYS]
    assert (len(SCENARIOS), len(WAYS), len(FAULTS[False]), len(FAULTS[True])) == (20, 38, 29, 22)
    assert sum(map(len, each)) == 8485
