"""A stack of release 0.1.0 is updated in place to this release, and back, with work in flight: docs/upgrading.md."""

import json
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import pytest

from handler.version import VERSION
from tests.e2e.conftest import Canceler, deployed, messages, own_bus, unique
from tools.demo.rollout import Rollout
from tools.localaws import sam
from tools.localaws.aws import LocalAws
from tools.polling import wait_for

STACK = "upgraded"
COMMIT = "230ad363a79e693592d1080baf37c382e920b211"  # 0.1.0
# At 3 calls a second, an invocation of 30 s has time to describe them, and to cancel only some.
JOBS = 24
QUEUES = ("BacklogQueueUrl", "FailureQueueUrl", "TeardownQueueUrl", "TeardownFailureQueueUrl")


@pytest.fixture(scope="module")
def old_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build release 0.1.0 from its commit."""
    directory = tmp_path_factory.mktemp("old")
    command = ["git", "-C", str(sam.ROOT), "archive", COMMIT]
    archived = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - literals
    assert archived.returncode == 0, (
        f"the clone lacks commit {COMMIT}, the release 0.1.0: {archived.stderr.decode()}"
        f"To fetch it, run: git fetch origin {COMMIT}"
    )
    with tarfile.open(fileobj=BytesIO(archived.stdout)) as archive:
        archive.extractall(directory / "source", filter="data")
    return sam.build(directory / "build", root=directory / "source")


@pytest.fixture(scope="module")
def upgraded(aws: LocalAws, old_build: Path) -> Iterator[Canceler]:
    """Deploy release 0.1.0 on a bus of its own."""
    with own_bus(aws, STACK) as bus, deployed(aws, old_build, STACK, **bus) as stack:
        yield stack


def reports(canceler: Canceler, prefix: str) -> list[tuple[str, str, dict[str, str]]]:
    """Return the release, the status and the outcomes of every run on jobs with the prefix."""
    lines = [json.loads(line) for line in canceler.log.lines() if '"message": "report"' in line]
    found = [
        (
            str(line["version"]),
            str(line["report"]["status"]),
            {each["jobId"]: each["outcome"] for each in line["report"]["jobs"] if each["jobId"].startswith(prefix)},
        )
        for line in lines
    ]
    return [each for each in found if each[2]]


def read_backlog(canceler: Canceler, *, enabled: bool) -> None:
    """Let the function read its backlog, or not, so that the sweep's message is on the queue during the update."""
    functions = canceler.aws.client("lambda")
    (mapping,) = [
        each
        for each in functions.list_event_source_mappings(FunctionName=canceler.function_name)["EventSourceMappings"]
        if "-Backlog-" in each["EventSourceArn"]
    ]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=enabled)


@dataclass
class WorkInFlight:
    """A stack whose deletion waits for a device, and a sweep that needs several invocations."""

    canceler: Canceler
    rollout: Rollout
    sweep: str

    @classmethod
    def begin(cls, canceler: Canceler, release: str) -> "WorkInFlight":
        """Begin both, and wait until the release has left each of them on its queue."""
        name = unique("in-flight")
        work = cls(canceler, Rollout(canceler.aws, f"{name}-rollout", canceler.fleet), f"{name}-stale-")
        work.rollout.create({"CancelerStack": STACK, "WaitForExecutionsMinutes": "10"})
        work.rollout.start_devices(1)
        iot = canceler.aws.client("iot")
        target = iot.create_thing(thingName=f"{name}-target")["thingArn"]
        for number in range(JOBS):
            iot.create_job(jobId=f"{work.sweep}{number}", targets=[target], document="{}")
        functions = canceler.aws.client("lambda")
        before = functions.get_function_configuration(FunctionName=canceler.function_name)["Environment"]["Variables"]
        # Until the update, which restores both.
        functions.update_function_configuration(
            FunctionName=canceler.function_name,
            Timeout=30,
            Environment={"Variables": {**before, "CANCELS_PER_SECOND": "3"}},
        )
        work.rollout.begin_deletion()
        read_backlog(canceler, enabled=False)
        # As a schedule's input.
        canceler.invoke_asynchronously({"cancel": {"select": {"jobIdGlob": f"{work.sweep}*"}}})
        for prefix in (work.rollout.name, work.sweep):
            first, *_ = wait_for("a report", partial(reports, canceler, prefix), seconds=60)
            assert first[:2] == (release, "UNFINISHED")
            assert "CANCELED" in first[2].values()
        return work

    def statuses(self) -> set[str]:
        """Return the statuses of the jobs of the sweep."""
        return set(self.canceler.statuses(*(f"{self.sweep}{number}" for number in range(JOBS))))

    def finish(self, release: str) -> None:
        """Check that the release finishes both. The device finishes after a poll of the release."""
        assert self.statuses() == {"CANCELED", "IN_PROGRESS"}
        read_backlog(self.canceler, enabled=True)
        name = self.rollout.name
        poll = (release, "UNFINISHED", {name: "ALREADY_CANCELED"})
        wait_for("a poll", lambda: poll in reports(self.canceler, name) or None, seconds=90)
        assert self.rollout.has_bucket()
        assert self.rollout.succeed(self.rollout.devices[0])
        self.rollout.wait_for_deletion(seconds=90)
        assert reports(self.canceler, name)[-1] == (release, "SETTLED", {name: "ALREADY_CANCELED"})
        assert not self.rollout.has_bucket()
        wait_for("the end of the sweep", lambda: self.statuses() == {"CANCELED"} or None, seconds=120)
        wait_for("its report", lambda: reports(self.canceler, self.sweep)[-1][1] != "UNFINISHED" or None, seconds=60)
        *_, (last_release, status, outcomes) = reports(self.canceler, self.sweep)
        assert (last_release, status, set(outcomes.values())) == (release, "SETTLED", {"CANCELED"})
        queues = [self.canceler.outputs[each] for each in QUEUES]
        wait_for("empty queues", lambda: messages(self.canceler.aws, *queues) == 0 or None, seconds=60)


def test_work_in_flight_is_finished_after_an_update_and_after_the_way_back(
    upgraded: Canceler, build_dir: Path, old_build: Path
) -> None:
    work = WorkInFlight.begin(upgraded, "0.1.0")
    outputs = sam.deploy(upgraded.aws, {}, build_dir=build_dir, stack_name=STACK)
    assert outputs == {**upgraded.outputs, "Version": VERSION}
    work.finish(VERSION)
    work = WorkInFlight.begin(upgraded, VERSION)
    assert sam.deploy(upgraded.aws, {}, build_dir=old_build, stack_name=STACK) == upgraded.outputs
    work.finish("0.1.0")
