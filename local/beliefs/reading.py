"""DescribeJob, ListJobs and ListTagsForResource: what is read of a job."""

from collections.abc import Callable

from handler.cancellation.job import JobStatus

from .belief import Belief, Mark
from .scene import Scene, refusal


def _status_of_new(scene: Scene) -> str:
    return scene.status(scene.job())


def _status_of_scheduled(scene: Scene) -> Callable[[], str]:
    job_id = scene.job(scheduled=True)
    return lambda: scene.status(job_id)


def _counts(scene: Scene) -> Callable[[], str]:
    job_id, things = scene.job(3), scene.things(3)
    scene.start(job_id, things[1])
    scene.succeed(job_id, things[2])

    def read() -> str:
        counts = scene.iot.describe_job(jobId=job_id)["job"]["jobProcessDetails"]
        queued, running = counts["numberOfQueuedThings"], counts["numberOfInProgressThings"]
        return f"{queued} queued, {running} in progress, {counts['numberOfSucceededThings']} succeeded"

    return read


def _counts_after_cancel(scene: Scene) -> Callable[[], str]:
    job_id = scene.canceled_job(2, started=1)

    def read() -> str:
        job = scene.jobs.describe(job_id)
        return f"{job.executions_in_progress} in progress, {'draining' if job.is_draining else 'drained'}"

    return read


def _completes(scene: Scene) -> str:
    return scene.status(scene.completed_job())


def _never_completes(scene: Scene) -> str:
    job_id = scene.job(targetSelection="CONTINUOUS")
    scene.succeed(job_id, *scene.things(1))
    return scene.told(job_id)


def _targets(scene: Scene) -> str:
    group, thing = scene.group(), scene.things(1)[0]
    arn = scene.iot.describe_thing_group(thingGroupName=group)["thingGroupArn"]
    told = scene.jobs.describe(scene.job(1, arn, scene.thing_arn(thing))).targets
    ends = {f":thinggroup/{group}": "group", f":thing/{thing}": "thing"}
    return ", ".join(sorted(name for target in told for end, name in ends.items() if target.endswith(end)))


def _filter(scene: Scene) -> Callable[[], str]:
    live, canceled = scene.job(), scene.canceled_job()

    def read() -> str:
        listed = [scene.listed(status).keys() & {live, canceled} for status in _BOTH]
        told = {frozenset({live}): "the live one", frozenset({canceled}): "the other one"}
        return ", ".join(told.get(frozenset(each), f"{len(each)} of 2") for each in listed)

    return read


_BOTH = (JobStatus.IN_PROGRESS, JobStatus.CANCELED)


def _summary(scene: Scene) -> Callable[[], str]:
    jobs = [scene.job(), scene.job(targetSelection="CONTINUOUS")]

    def read() -> str:
        listed = scene.listed(JobStatus.IN_PROGRESS)
        found = [listed[job_id] for job_id in jobs if job_id in listed]
        zoned = all(each.created_at.tzinfo and each.created_at <= each.last_updated_at for each in found)
        return f"{', '.join(each.target_selection for each in found)}; {'zoned' if zoned else 'not zoned'} times"

    return read


def _pages(scene: Scene) -> Callable[[], str]:
    """Within our own group, so as not to page through all jobs of the account."""
    group = scene.group()
    arn = scene.iot.describe_thing_group(thingGroupName=group)["thingGroupArn"]
    jobs = {scene.job(1, arn) for _ in range(3)}

    def read() -> str:
        listing = scene.iot.get_paginator("list_jobs").paginate(
            status="IN_PROGRESS", thingGroupName=group, PaginationConfig={"PageSize": 2}
        )
        pages = [[each["jobId"] for each in page["jobs"] if each["jobId"] in jobs] for page in listing]
        ids = [job_id for page in pages for job_id in page]
        return f"{len(ids)}, {len(set(ids))} different, at most {max(map(len, pages))} a page"

    return read


def _tags(scene: Scene) -> str:
    tags = {"cancel-protection": "true", "a:b/c": "x y", "empty": ""}
    job_id = scene.job(tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    scene.job(tags=[{"Key": "another", "Value": "job's"}])
    told = scene.jobs.tags(scene.jobs.describe(job_id).arn)
    return "as given" if told == tags else str(told)


def _no_tags(scene: Scene) -> str:
    return str(scene.jobs.tags(scene.jobs.describe(scene.job()).arn))


def _d(name: str, what: str, expected: str, probe: Callable[[Scene], str | Callable[[], str]]) -> Belief:
    return Belief(name, what, Mark.DOCUMENTED, (expected,), probe)


READING = (
    _d("status-new", "A new job is IN_PROGRESS", "IN_PROGRESS", _status_of_new),
    _d("status-scheduled", "A new job with a startTime is SCHEDULED", "SCHEDULED", _status_of_scheduled),
    _d("status-completed", "A SNAPSHOT job whose executions have ended is COMPLETED", "COMPLETED", _completes),
    _d(
        "status-continuous",
        "A CONTINUOUS job without an endTime never completes",
        "IN_PROGRESS: SUCCEEDED",
        _never_completes,
    ),
    _d(
        "describe-absent",
        "DescribeJob of a job that is not there is not found",
        "ResourceNotFoundException",
        lambda scene: refusal(lambda: scene.iot.describe_job(jobId=f"{scene.prefix}absent")),
    ),
    _d(
        "describe-counts",
        "DescribeJob counts the executions in each status",
        "1 queued, 1 in progress, 1 succeeded",
        _counts,
    ),
    _d(
        "describe-drained",
        "A cancelled job comes to read as neither concurrent nor with QUEUED executions, while a device still runs it",
        "1 in progress, drained",
        _counts_after_cancel,
    ),
    _d("describe-targets", "DescribeJob tells the ARNs of things and thing groups", "group, thing", _targets),
    _d(
        "list-filter",
        "ListJobs gives jobs in one status, if asked; a cancelled one is listed as CANCELED",
        "the live one, the other one",
        _filter,
    ),
    _d(
        "list-summary",
        "ListJobs tells the target selection, and when a job was created and changed last",
        "SNAPSHOT, CONTINUOUS; zoned times",
        _summary,
    ),
    _d(
        "list-paging",
        "ListJobs pages: each job once, no page longer than asked",
        "3, 3 different, at most 2 a page",
        _pages,
    ),
    _d("tags", "ListTagsForResource tells the tags that a job was created with", "as given", _tags),
    _d("tags-none", "ListTagsForResource of a job without tags tells none", "{}", _no_tags),
)
