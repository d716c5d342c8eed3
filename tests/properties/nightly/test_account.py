"""As tests/properties/test_account.py, with more histories; with other ones each time in `make soak`."""

from collections.abc import Callable

from tests.properties.test_account import SOAK, AccountMachine, machine, run_histories
from tests.support.account import totals

__all__ = ["machine"]  # a fixture


def test_account_keeps_the_guarantees(
    machine: type[AccountMachine],
    record_property: Callable[[str, object], None],
) -> None:
    run_histories(machine, SOAK or 800, record_property)
    assert totals["deliveries"] >= 10_000
