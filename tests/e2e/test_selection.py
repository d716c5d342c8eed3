"""Selections among jobs of several kinds, by a request and by the deletion of a stack."""

from typing import Any

from tests.e2e.conftest import PREFIX, Canceler, unique
from tests.support.stacks import failure_of_delete, template
from tools.localaws import stacks


def select(canceler: Canceler, **cancel: Any) -> Any:
    return canceler.invoke({"cancel": cancel})


def population(canceler: Canceler, batch: str) -> dict[str, str]:
    """Create one job of each kind, whose ids have `batch` after the prefix. Return kind → job id."""
    iot = canceler.aws.client("iot")

    def queued(name: str, **kind: Any) -> str:
        return canceler.job(name, queued=1, started=0, batch=batch, **kind)

    ids = {
        "plain": queued("plain"),
        "protected": queued("protected", tags={"cancel-protection": "true"}),
        "tagged": queued("tagged", tags={"env": batch}),
        "other prefix": queued("plain", prefix="other-"),
        "ota": queued("plain", prefix="AFR_OTA-"),
        "keep": queued("keep"),
        "canceled": queued("canceled"),
    }
    iot.cancel_job(jobId=ids["canceled"], reasonCode="EARLIER")
    arn = iot.describe_job(jobId=ids["plain"])["job"]["targets"][0]
    others = {"continuous": {"targetSelection": "CONTINUOUS"}, "greengrass": {"namespaceId": "aws-gg-deployment"}}
    for kind, fields in others.items():
        ids[kind] = f"{ids['plain']}-{kind}"
        iot.create_job(jobId=ids[kind], targets=[arn], document="{}", **fields)  # type: ignore[arg-type]
    return ids


def outcomes(report: Any) -> dict[str, str]:
    return {job["jobId"]: job["outcome"] for job in report["jobs"]}


def test_a_selection_cancels_only_the_matching_jobs(canceler: Canceler) -> None:
    batch = unique("mixed")
    ids = population(canceler, batch)
    chosen = {"jobIdGlob": f"*-{batch}-*", "excludeJobIdGlobs": ["*keep*"]}
    plan = select(canceler, select=chosen, dryRun=True)
    assert outcomes(plan) == {
        ids["plain"]: "WOULD_CANCEL",
        ids["tagged"]: "WOULD_CANCEL",
        ids["protected"]: "PROTECTED",
    }
    assert plan["leftOut"] == [{"jobId": ids["greengrass"], "why": "owned by AWS IoT Greengrass"}]
    real = select(canceler, select=chosen)
    assert outcomes(real) == {ids["plain"]: "CANCELED", ids["tagged"]: "CANCELED", ids["protected"]: "PROTECTED"}
    states = {kind: canceler.fleet.state(job_id).status for kind, job_id in ids.items()}
    canceled = {kind for kind, status in states.items() if status == "CANCELED"}
    assert canceled == {"plain", "tagged", "canceled"}
    assert canceler.described(ids["canceled"])["reasonCode"] == "EARLIER"


def test_the_deletion_of_a_stack_cancels_its_selection_or_fails_with_the_reason(canceler: Canceler) -> None:
    name = unique("owned")
    properties = {"Select": {"JobIdGlob": f"{PREFIX}{name}-*", "ExcludeJobIdGlobs": ["*-keep"]}}
    stacks.create(canceler.aws, name, template(canceler.service_token, properties, attributes=("Force",)), {})
    jobs = [canceler.job(str(number), queued=1, started=0, batch=name) for number in range(3)]
    target = canceler.described(jobs[0])["targets"][0]
    continuous = f"{PREFIX}{name}-continuous"
    iot = canceler.aws.client("iot")
    iot.create_job(jobId=continuous, targets=[target], document="{}", targetSelection="CONTINUOUS")
    jobs.insert(0, continuous)
    excluded = canceler.job("keep", queued=1, started=0, batch=name)
    assert "matches 4 jobs, but the limit is 3" in failure_of_delete(canceler.aws, name)
    assert {canceler.fleet.state(job_id).status for job_id in jobs} == {"IN_PROGRESS"}
    canceler.invoke({"cancel": {"jobId": jobs.pop()}})
    stacks.delete(canceler.aws, name)
    assert {canceler.fleet.state(job_id).status for job_id in jobs} == {"CANCELED"}
    assert canceler.fleet.state(excluded).status == "IN_PROGRESS"


def test_an_update_of_the_selection_cancels_nothing(canceler: Canceler) -> None:
    name, job_id = unique("edited"), canceler.job("edited", queued=1, started=0)
    for change, glob in ((stacks.create, job_id), (stacks.update, f"{PREFIX}{name}-none")):
        body = template(canceler.service_token, {"Select": {"JobIdGlob": glob}}, attributes=("Force",))
        change(canceler.aws, name, body, {})
    assert canceler.fleet.state(job_id).status == "IN_PROGRESS"
    stacks.delete(canceler.aws, name)
    assert canceler.fleet.state(job_id).status == "IN_PROGRESS"
