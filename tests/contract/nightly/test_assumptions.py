"""The assumptions about AWS IoT Jobs, checked against MiniStack, and against a service that is slow to change."""

from collections.abc import Iterator

import pytest

from tests.contract.test_assumptions import EACH, moto, new_testbed
from tools.conformance.account import Devices
from tools.conformance.assumption import Assumption, observe
from tools.conformance.differences import Backend, expected_of
from tools.conformance.testbed import IotTestbed
from tools.localaws.aws import LocalAws


@pytest.fixture(scope="module")
def ministack() -> Iterator[IotTestbed]:
    with LocalAws() as aws:
        iot = aws.client("iot")
        yield new_testbed(iot, Devices(iot, aws.client("iot-jobs-data")))


@EACH
def test_ministack_matches_the_assumption_or_its_known_difference(
    assumption: Assumption, ministack: IotTestbed
) -> None:
    expected = expected_of(Backend.MINISTACK, assumption)
    assert observe(assumption, ministack, expected) in expected
    ministack.created.delete_jobs()


@EACH
def test_assumption_waits_for_a_slow_service(assumption: Assumption, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handler.cancellation.cancel.READ_BACK_WAITS_SECONDS", (0.0, 0.0, 0.0, 0.0))
    with moto(lag=3, hides_namespaced=True) as testbed:
        testbed.timeout_seconds = 2
        assert observe(assumption, testbed, assumption.expected) in assumption.expected
