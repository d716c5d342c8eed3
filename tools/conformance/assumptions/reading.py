"""The fields of a job in DescribeJob, ListJobs and ListTagsForResource."""

from collections.abc import Callable
from datetime import UTC, datetime

from handler.cancellation.criteria import Criteria
from handler.cancellation.job import JobStatus
from tools.conformance.assumption import documented
from tools.conformance.testbed import IotTestbed, error_code


def _status_of_new(testbed: IotTestbed) -> str:
    return testbed.status(testbed.job())


def _status_of_scheduled(testbed: IotTestbed) -> Callable[[], str]:
    job_id = testbed.job(scheduled=True)
    return lambda: testbed.status(job_id)


def _start_of_scheduled(testbed: IotTestbed) -> str:
    starts_at = testbed.jobs.describe(testbed.job(scheduled=True)).starts_at
    why = Criteria(older_than_hours=1).why_too_recent(starts_at, datetime.now(UTC))
    return "a later time" if "scheduled to begin" in why else f"{starts_at!r}: {why}"


def _counts(testbed: IotTestbed) -> Callable[[], str]:
    job_id, things = testbed.job(3), testbed.things(3)
    testbed.start(job_id, things[1])
    testbed.succeed(job_id, things[2])

    def read() -> str:
        counts = testbed.iot.describe_job(jobId=job_id)["job"]["jobProcessDetails"]
        queued, running = counts["numberOfQueuedThings"], counts["numberOfInProgressThings"]
        return f"{queued} queued, {running} in progress, {counts['numberOfSucceededThings']} succeeded"

    return read


def _counts_after_cancel(testbed: IotTestbed) -> Callable[[], str]:
    job_id = testbed.canceled_job(2, started=1)

    def read() -> str:
        job = testbed.jobs.describe(job_id)
        return f"{job.executions_in_progress} in progress, {'draining' if job.is_draining else 'drained'}"

    return read


def _completes(testbed: IotTestbed) -> str:
    return testbed.status(testbed.completed_job())


def _never_completes(testbed: IotTestbed) -> str:
    job_id = testbed.job(targetSelection="CONTINUOUS")
    testbed.succeed(job_id, *testbed.things(1))
    return testbed.statuses(job_id)


def _targets(testbed: IotTestbed) -> str:
    group, thing = testbed.group(), testbed.things(1)[0]
    arn = testbed.iot.describe_thing_group(thingGroupName=group)["thingGroupArn"]
    targets = testbed.jobs.describe(testbed.job(1, arn, testbed.thing_arn(thing))).targets
    ends = {f":thinggroup/{group}": "group", f":thing/{thing}": "thing"}
    return ", ".join(sorted(name for target in targets for end, name in ends.items() if target.endswith(end)))


def _filter(testbed: IotTestbed) -> Callable[[], str]:
    active, canceled = testbed.job(), testbed.canceled_job()

    def read() -> str:
        statuses = (JobStatus.IN_PROGRESS, JobStatus.CANCELED)
        listed = [testbed.list_own_jobs(status).keys() & {active, canceled} for status in statuses]
        names = {frozenset({active}): "the active one", frozenset({canceled}): "the other one"}
        return ", ".join(names.get(frozenset(each), f"{len(each)} of 2") for each in listed)

    return read


def _summary(testbed: IotTestbed) -> Callable[[], str]:
    jobs = [testbed.job(), testbed.job(targetSelection="CONTINUOUS")]

    def read() -> str:
        listed = testbed.list_own_jobs(JobStatus.IN_PROGRESS)
        found = [listed[job_id] for job_id in jobs if job_id in listed]
        zoned = all(each.created_at.tzinfo and each.created_at <= each.last_updated_at for each in found)
        return f"{', '.join(each.target_selection for each in found)}; {'zoned' if zoned else 'not zoned'} times"

    return read


def _pages(testbed: IotTestbed) -> Callable[[], str]:
    """List the jobs of one thing group only, to avoid paging through all jobs of the account."""
    group = testbed.group()
    arn = testbed.iot.describe_thing_group(thingGroupName=group)["thingGroupArn"]
    jobs = {testbed.job(1, arn) for _ in range(3)}

    def read() -> str:
        listing = testbed.iot.get_paginator("list_jobs").paginate(
            status="IN_PROGRESS", thingGroupName=group, PaginationConfig={"PageSize": 2}
        )
        pages = [[each["jobId"] for each in page["jobs"] if each["jobId"] in jobs] for page in listing]
        ids = [job_id for page in pages for job_id in page]
        return f"{len(ids)}, {len(set(ids))} different, at most {max(map(len, pages))} a page"

    return read


def _tags(testbed: IotTestbed) -> str:
    tags = {"cancel-protection": "true", "a:b/c": "x y", "empty": ""}
    job_id = testbed.job(tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    testbed.job(tags=[{"Key": "another", "Value": "job's"}])
    read = testbed.jobs.tags(testbed.jobs.describe(job_id).arn)
    return "as given" if read == tags else str(read)


def _no_tags(testbed: IotTestbed) -> str:
    return str(testbed.jobs.tags(testbed.jobs.describe(testbed.job()).arn))


READING = (
    documented("status-new", "A new job is IN_PROGRESS", "IN_PROGRESS", _status_of_new),
    documented("status-scheduled", "A new job with a startTime is SCHEDULED", "SCHEDULED", _status_of_scheduled),
    documented(
        "describe-start",
        "DescribeJob of a scheduled job returns its startTime: a time in the future",
        "a later time",
        _start_of_scheduled,
    ),
    documented("status-completed", "A SNAPSHOT job whose executions have ended is COMPLETED", "COMPLETED", _completes),
    documented(
        "status-continuous",
        "A CONTINUOUS job without an endTime never completes",
        "IN_PROGRESS: SUCCEEDED",
        _never_completes,
    ),
    documented(
        "describe-absent",
        "DescribeJob of an absent job returns ResourceNotFoundException",
        "ResourceNotFoundException",
        lambda testbed: error_code(lambda: testbed.iot.describe_job(jobId=f"{testbed.prefix}absent")),
    ),
    documented(
        "describe-counts",
        "DescribeJob counts the executions in each status",
        "1 queued, 1 in progress, 1 succeeded",
        _counts,
    ),
    documented(
        "describe-drained",
        "A canceled job eventually has neither isConcurrent nor QUEUED executions, while a device still runs it",
        "1 in progress, drained",
        _counts_after_cancel,
    ),
    documented(
        "describe-targets",
        "DescribeJob returns the ARNs of the targeted things and thing groups",
        "group, thing",
        _targets,
    ),
    documented(
        "list-filter",
        "ListJobs filters jobs by status, and lists a canceled job as CANCELED",
        "the active one, the other one",
        _filter,
    ),
    documented(
        "list-summary",
        "ListJobs returns the target selection, and the times of creation and last update",
        "SNAPSHOT, CONTINUOUS; zoned times",
        _summary,
    ),
    documented(
        "list-paging",
        "ListJobs returns each job once, in pages of at most the requested size",
        "3, 3 different, at most 2 a page",
        _pages,
    ),
    documented("tags", "ListTagsForResource returns the tags with which a job was created", "as given", _tags),
    documented("tags-none", "ListTagsForResource of a job without tags returns no tags", "{}", _no_tags),
)
