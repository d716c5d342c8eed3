"""The assumptions about AWS IoT Jobs, checked against the simulator.

nightly/test_assumptions.py checks them against MiniStack, and `make verify-aws` against an account. A backend that
differs from AWS is in `tools.conformance.differences`, with what it does instead.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError

from handler.cancellation.selection import GREENGRASS_NAMESPACE
from tools.conformance.account import Devices
from tools.conformance.assumption import Assumption, Evidence, observe
from tools.conformance.assumptions import ASSUMPTIONS
from tools.conformance.created_resources import CreatedResources
from tools.conformance.differences import DIFFERENCES, Backend, expected_of
from tools.conformance.document import PATH, document
from tools.conformance.testbed import IotTestbed, error_code
from tools.simulators.faults import ServiceError, answer_lost, denied, failing, throttled, unavailable
from tools.simulators.iot import IotSimulator
from tools.simulators.iot_server import in_process, simulator_of

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

REGION = "eu-west-1"
BY_NAME = {assumption.name: assumption for assumption in ASSUMPTIONS}


@dataclass
class MotoDevices:
    """The devices of the simulator, which has no jobs data plane, and a slow deletion."""

    backend: IotSimulator

    def report(self, job_id: str, thing_name: str, status: str) -> None:
        act = self.backend.start_execution if status == "IN_PROGRESS" else self.backend.finish_execution
        try:
            act(job_id, thing_name, *(() if status == "IN_PROGRESS" else (status,)))
        except ServiceError as error:
            raise error.client_error("UpdateJobExecution") from error

    def begin_deletion(self, job_id: str) -> None:
        self.backend.jobs[job_id].status = "DELETION_IN_PROGRESS"


def new_testbed(client: "IoTClient", devices: Devices | MotoDevices) -> IotTestbed:
    return IotTestbed(client, devices, "ijc-verify-test-", 0.0, CreatedResources(client, 0.0))


@contextmanager
def moto(lag: int = 0, *, hides_namespaced: bool = False) -> Iterator[IotTestbed]:
    with in_process(REGION) as backend:
        backend.lag, backend.hides_namespaced = lag, hides_namespaced
        client = boto3.Session().client(
            "iot",
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1, "mode": "standard"}),
        )
        yield new_testbed(client, MotoDevices(backend))


EACH = pytest.mark.parametrize("assumption", ASSUMPTIONS, ids=lambda assumption: assumption.name)


@EACH
def test_simulator_matches_the_assumption(assumption: Assumption) -> None:
    with moto() as testbed:
        expected = expected_of(Backend.MOTO, assumption)
        assert observe(assumption, testbed, expected) in expected


def test_each_difference_is_listed_once() -> None:
    names = Counter((each.backend, each.assumption) for each in DIFFERENCES)
    assert set(names.values()) == {1}
    for each in DIFFERENCES:
        assert each.backend is not Backend.AWS
        assert each.instead not in BY_NAME[each.assumption].expected


def test_names_of_assumptions_are_unique() -> None:
    assert len(BY_NAME) == len(ASSUMPTIONS)


@EACH
def test_documented_assumption_has_one_outcome_and_no_error(assumption: Assumption) -> None:
    known = assumption.evidence in {Evidence.DOCUMENTED, Evidence.OBSERVED}
    assert len(assumption.expected) == 1 if known else assumption.expected
    assert not any("Error" in each for each in assumption.expected)


def test_unexpected_error_of_the_service_is_observed() -> None:
    assumption = Assumption("x", "", Evidence.DOCUMENTED, ("y",), lambda testbed: testbed.status("absent"))
    with moto() as testbed:
        assert observe(assumption, testbed, assumption.expected) == "DescribeJob: ResourceNotFoundException"


def test_document_lists_the_assumptions() -> None:
    assert PATH.read_text() == document(), "make document"


# The clean-up


@pytest.mark.parametrize(
    "error",
    [
        lambda: ServiceError("LimitExceededException", 410, "10 jobs are being deleted"),
        throttled,
        unavailable,
        answer_lost,
    ],
)
def test_failed_deletion_is_retried(error: Callable[[], Exception]) -> None:
    with moto() as testbed:
        backend = simulator_of(REGION)
        jobs = [testbed.job(), testbed.canceled_job(1, started=1), testbed.completed_job()]
        testbed.group()
        backend.fault = failing("DeleteJob", error, times=7)
        testbed.created.delete_jobs()
        testbed.created.timeout_seconds = 30
        assert testbed.created.clean_up() == []
        assert [error_code(partial(testbed.status, job_id)) for job_id in jobs] == ["ResourceNotFoundException"] * 3
        assert testbed.iot.list_things()["things"] == []
        assert testbed.iot.list_thing_groups()["thingGroups"] == []


def test_failed_deletion_is_reported() -> None:
    with moto() as testbed:
        job_id = testbed.job()
        testbed.created.timeout_seconds = 3600
        simulator_of(REGION).fault = failing("DeleteJob", denied)
        assert testbed.created.clean_up() == [f"job {job_id}: AccessDeniedException"]
        assert testbed.iot.list_things()["things"] == []


def test_job_created_with_a_lost_response_is_deleted() -> None:
    with moto() as testbed:
        simulator_of(REGION).lost = failing("CreateJob", answer_lost)
        with pytest.raises(ConnectionClosedError):
            testbed.job()
        assert len(testbed.iot.list_jobs()["jobs"]) == 1
        assert testbed.created.clean_up() == []
        assert testbed.iot.list_jobs()["jobs"] == []


def test_resource_that_was_never_created_is_not_reported() -> None:
    with moto() as testbed:
        testbed.created.jobs["never"] = GREENGRASS_NAMESPACE
        testbed.created.things.append("never")
        testbed.created.groups.append("never")
        assert testbed.created.clean_up() == []
