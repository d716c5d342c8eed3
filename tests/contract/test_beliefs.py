"""What the code believes of AWS IoT Jobs, held against two local ones; `make verify-aws` holds it against an account.

A backend that differs from AWS is in `local.beliefs.differences`, with what it does instead.
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
from botocore.exceptions import ClientError, ConnectionClosedError
from moto.core.exceptions import JsonRESTError

from handler.cancellation.selection import GREENGRASS_NAMESPACE
from local.account import Devices
from local.aws import LocalAws
from local.beliefs import BELIEFS
from local.beliefs.belief import Belief, Mark, look
from local.beliefs.differences import DIFFERENCES, Backend, expected_of
from local.beliefs.document import PATH, document
from local.beliefs.makings import Makings
from local.beliefs.scene import Scene, refusal
from tests.support import iot_server
from tests.support.iot_rules import RulesBackend, backend_of, in_process
from tests.support.iot_server import AwsError, failing

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

REGION = "eu-west-1"
BY_NAME = {belief.name: belief for belief in BELIEFS}


@dataclass
class MotoDevices:
    """The devices of moto, which has no jobs data plane, and a deletion that takes its time."""

    backend: RulesBackend

    def report(self, job_id: str, thing_name: str, status: str) -> None:
        act = self.backend.start_execution if status == "IN_PROGRESS" else self.backend.finish_execution
        try:
            act(job_id, thing_name, *(() if status == "IN_PROGRESS" else (status,)))
        except JsonRESTError as refusal:
            answer = {"Error": {"Code": str(refusal.error_type), "Message": ""}}
            raise ClientError(answer, "UpdateJobExecution") from refusal  # type: ignore[arg-type] # no more is read

    def begin_deletion(self, job_id: str) -> None:
        self.backend.set_status(job_id, "DELETION_IN_PROGRESS")


def scene_of(client: "IoTClient", devices: Devices | MotoDevices) -> Scene:
    return Scene(client, devices, "ijc-verify-test-", 0.0, Makings(client, 0.0))


@pytest.fixture(scope="module")
def ministack() -> Iterator[Scene]:
    with LocalAws() as aws:
        iot = aws.client("iot")
        yield scene_of(iot, Devices(iot, aws.client("iot-jobs-data")))


@contextmanager
def moto(lag: int = 0, *, hides_namespaced: bool = False) -> Iterator[Scene]:
    with in_process(REGION) as backend:
        backend.lag, backend.hides_namespaced = lag, hides_namespaced
        client = boto3.Session().client(
            "iot",
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1, "mode": "standard"}),
        )
        yield scene_of(client, MotoDevices(backend))


EACH = pytest.mark.parametrize("belief", BELIEFS, ids=lambda belief: belief.name)


@EACH
def test_moto_with_the_rules_is_as_aws_is_believed_to_be(belief: Belief) -> None:
    with moto() as scene:
        expected = expected_of(Backend.MOTO, belief)
        assert look(belief, scene, expected) in expected


@EACH
def test_a_belief_waits_for_an_aws_that_takes_its_time(belief: Belief, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handler.cancellation.cancel.READ_BACK_WAITS", (0.0, 0.0, 0.0, 0.0))
    with moto(lag=3, hides_namespaced=True) as scene:
        scene.patience = 2
        assert look(belief, scene, belief.expected) in belief.expected


@EACH
def test_ministack_is_as_aws_is_believed_to_be_or_differs_as_is_known(belief: Belief, ministack: Scene) -> None:
    expected = expected_of(Backend.MINISTACK, belief)
    assert look(belief, ministack, expected) in expected
    ministack.makings.drop_jobs()


def test_every_difference_is_one_and_stands_there_once() -> None:
    names = Counter((each.backend, each.belief) for each in DIFFERENCES)
    assert set(names.values()) == {1}
    for each in DIFFERENCES:
        assert each.backend is not Backend.AWS
        assert each.instead not in BY_NAME[each.belief].expected


def test_every_belief_has_a_name_of_its_own() -> None:
    assert len(BY_NAME) == len(BELIEFS)


@EACH
def test_what_is_known_has_one_outcome_and_our_code_is_never_to_fail_by_accident(belief: Belief) -> None:
    known = belief.mark in {Mark.DOCUMENTED, Mark.OBSERVED}
    assert len(belief.expected) == 1 if known else belief.expected
    assert not any("Error" in each for each in belief.expected)


def test_an_error_of_the_service_is_seen_and_is_none_of_the_outcomes() -> None:
    belief = Belief("x", "", Mark.DOCUMENTED, ("y",), lambda scene: scene.status("absent"))
    with moto() as scene:
        assert look(belief, scene, belief.expected) == "DescribeJob: ResourceNotFoundException"


def test_the_document_is_what_the_beliefs_say() -> None:
    assert PATH.read_text() == document(), "make document"


# The clean-up


@pytest.mark.parametrize(
    "error",
    [
        lambda: AwsError("LimitExceededException", 410, "10 jobs are being deleted"),
        iot_server.throttled,
        iot_server.unavailable,
        iot_server.LostAnswerError,
    ],
)
def test_what_can_not_be_deleted_at_first_is_deleted_later(error: Callable[[], Exception]) -> None:
    with moto() as scene:
        backend = backend_of(REGION)
        jobs = [scene.job(), scene.canceled_job(1, started=1), scene.completed_job()]
        scene.group()
        backend.fault = failing("DeleteJob", error, times=7)
        scene.makings.drop_jobs()
        scene.makings.patience = 30
        assert scene.makings.clean_up() == []
        assert [refusal(partial(scene.status, job_id)) for job_id in jobs] == ["ResourceNotFoundException"] * 3
        assert scene.iot.list_things()["things"] == []
        assert scene.iot.list_thing_groups()["thingGroups"] == []


def test_what_can_not_be_deleted_is_told() -> None:
    with moto() as scene:
        job_id = scene.job()
        scene.makings.patience = 3600
        backend_of(REGION).fault = failing("DeleteJob", iot_server.access_denied)
        assert scene.makings.clean_up() == [f"job {job_id}: AccessDeniedException"]
        assert scene.iot.list_things()["things"] == []


def test_what_was_made_without_an_answer_is_deleted_too() -> None:
    with moto() as scene:
        backend_of(REGION).lost = failing("CreateJob", iot_server.LostAnswerError)
        with pytest.raises(ConnectionClosedError):
            scene.job()
        assert len(scene.iot.list_jobs()["jobs"]) == 1
        assert scene.makings.clean_up() == []
        assert scene.iot.list_jobs()["jobs"] == []


def test_what_was_never_made_is_no_leftover() -> None:
    with moto() as scene:
        scene.makings.jobs["never"] = GREENGRASS_NAMESPACE
        scene.makings.things.append("never")
        scene.makings.groups.append("never")
        assert scene.makings.clean_up() == []
