"""examples/many-accounts: a local AWS has one account, so the center and the canceler are in the same one.

MiniStack does not evaluate the policy of a bus: only cfn-lint reads the policies.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Canceler, deployed, own_bus, unique
from tools.localaws import sam, stacks
from tools.localaws.aws import LocalAws, isolated_environment
from tools.processes import run

EXAMPLE = sam.ROOT / "examples" / "many-accounts"
BUS = "member"


@pytest.fixture(scope="module")
def center(aws: LocalAws) -> Iterator[dict[str, str]]:
    """Deploy the bus and the queue of the reports, and return their outputs."""
    template = (EXAMPLE / "center.yaml").read_text()
    yield stacks.create(aws, "center", template, {"OrganizationId": "o-example1234"})
    stacks.delete(aws, "center")


@pytest.fixture(scope="module")
def member(aws: LocalAws, build_dir: Path, center: dict[str, str]) -> Iterator[Canceler]:
    """Deploy a canceler without a rule for requests, and member.yaml."""
    with own_bus(aws, BUS) as bus, deployed(aws, build_dir, BUS, RequestSources="", **bus) as canceler:
        parameters = {"CenterAccount": account(canceler), "CenterBusArn": center["BusArn"], "CancelerStack": BUS, **bus}
        stacks.create(aws, "requests", (EXAMPLE / "member.yaml").read_text(), parameters)
        yield canceler
        stacks.delete(aws, "requests")


def account(canceler: Canceler) -> str:
    return canceler.service_token.split(":")[4]


def request(canceler: Canceler, queue: str, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Run the script, and return its exit code, the JSON that it prints, and the line after the JSON."""
    command = [sys.executable, str(EXAMPLE / "request.py"), *arguments, "--queue", queue, "--seconds", "60"]
    environment = isolated_environment() | canceler.aws.environment
    exit_code, output = run(command, environment=environment, cwd=EXAMPLE, seconds=100)
    printed, end = json.JSONDecoder().raw_decode(output)
    return exit_code, printed, output[end:].strip()


def test_a_plan_is_applied_unless_the_jobs_have_changed(
    member: Canceler, center: dict[str, str], tmp_path: Path
) -> None:
    queue = center["QueueUrl"]
    batch = unique("bad-image")
    jobs = [member.job(name, batch=batch) for name in ("a", "b")]
    other = member.job("other")
    file, plans = tmp_path / "request.json", tmp_path / "plans.json"
    cancel = {"select": {"jobIdGlob": f"e2e-{batch}-*"}, "reasonCode": "BAD_IMAGE"}
    file.write_text(json.dumps(cancel))

    def plan() -> dict[str, Any]:
        targets = ("--accounts", account(member), "--regions", member.aws.region)
        exit_code, printed, _ = request(member, queue, "plan", str(file), *targets)
        assert (exit_code, printed["request"]) == (0, cancel)
        plans.write_text(json.dumps(printed))
        (report,) = printed["reports"]
        return dict(report)

    report = plan()
    assert (report["account"], report["region"], report["status"]) == ("000000000000", "eu-central-1", "SETTLED")
    assert report["counts"] == {"WOULD_CANCEL": 2}
    late = member.job("late", batch=batch)
    exit_code, printed, error = request(member, queue, "apply", str(plans))
    assert (exit_code, error) == (1, "1 of 1 reports are not SETTLED")
    assert printed["reports"][0]["status"] == "REJECTED"
    assert member.statuses(*jobs, late) == ["IN_PROGRESS"] * 3
    assert plan()["counts"] == {"WOULD_CANCEL": 3}
    exit_code, printed, error = request(member, queue, "apply", str(plans))
    assert (exit_code, error, printed["reports"][0]["counts"]) == (0, "", {"CANCELED": 3})
    assert member.statuses(*jobs, late, other) == ["CANCELED"] * 3 + ["IN_PROGRESS"]
    assert member.described(late)["reasonCode"] == "BAD_IMAGE"


def test_other_reports_and_requests_of_other_sources_do_not_pass(member: Canceler, center: dict[str, str]) -> None:
    kept, canceled = member.job("kept"), member.job("canceled")
    detail = json.dumps({"cancel": {"jobId": kept}})
    entry = {"Source": "someone", "DetailType": "IoT Job Cancellation Requested", "Detail": detail}
    events = member.aws.client("events")
    events.put_events(Entries=[entry | {"EventBusName": "iot-job-requests"}])  # type: ignore[list-item] # a literal
    member.invoke({"cancel": {"jobId": canceled}})
    member.report_on(canceled)
    assert member.statuses(kept, canceled) == ["IN_PROGRESS", "CANCELED"]
    assert "Messages" not in member.aws.client("sqs").receive_message(QueueUrl=center["QueueUrl"])
