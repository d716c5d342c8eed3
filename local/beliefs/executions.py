"""The executions of a job: ListJobExecutionsForJob and CancelJobExecution."""

from collections.abc import Callable

from handler.errors import ExecutionEnded, JobNotCancelable, JobNotFound

from .belief import Belief, Mark
from .scene import Scene, refusal


def _ends_one(scene: Scene) -> Callable[[], str]:
    job_id = scene.job(2)
    scene.start(job_id, *scene.things(2))
    scene.jobs.cancel_execution(job_id, scene.things(1)[0])
    return lambda: scene.told(job_id)


def _needs_force(scene: Scene) -> str:
    job_id, (thing,) = scene.job(), scene.things(1)
    scene.start(job_id, thing)
    return refusal(lambda: scene.iot.cancel_job_execution(jobId=job_id, thingName=thing))


def _names_with_colons(scene: Scene) -> Callable[[], str]:
    job_id, (thing,) = scene.canceled_job(started=1), scene.things(1)

    def read() -> str:
        running = list(scene.jobs.running(job_id, lambda: None))
        return ", ".join("its name" if name == thing else name for name in running)

    return read


def _running_only(scene: Scene) -> Callable[[], str]:
    job_id, things = scene.job(3), scene.things(3)
    scene.start(job_id, things[1])
    scene.succeed(job_id, things[2])

    def read() -> str:
        page = scene.iot.list_job_executions_for_job(jobId=job_id, status="IN_PROGRESS")
        return ", ".join(each["jobExecutionSummary"]["status"] for each in page["executionSummaries"])

    return read


def _pages(scene: Scene) -> Callable[[], str]:
    job_id = scene.job(3)

    def read() -> str:
        listing = scene.iot.get_paginator("list_job_executions_for_job")
        pages = [
            page["executionSummaries"] for page in listing.paginate(jobId=job_id, PaginationConfig={"PageSize": 1})
        ]
        arns = [each["thingArn"] for page in pages for each in page]
        return f"{len(arns)}, {len(set(arns))} different, at most {max(map(len, pages))} a page"

    return read


def _absent_execution(scene: Scene) -> str:
    job_id, thing = scene.job(), scene.things(2)[1]
    return refusal(lambda: scene.iot.cancel_job_execution(jobId=job_id, thingName=thing, force=True))


def _absent_job(scene: Scene) -> str:
    job_id, (thing,) = f"{scene.prefix}absent", scene.things(1)
    calls: list[Callable[[], object]] = [
        lambda: scene.iot.cancel_job_execution(jobId=job_id, thingName=thing, force=True),
        lambda: scene.iot.list_job_executions_for_job(jobId=job_id),
    ]
    return ", ".join(refusal(call) for call in calls)


def _ended(scene: Scene) -> str:
    """What our adapter makes of it: each of these has our code read the job again."""
    job_id, (thing,) = scene.completed_job(), scene.things(1)
    try:
        scene.jobs.cancel_execution(job_id, thing)
    except (ExecutionEnded, JobNotCancelable, JobNotFound) as error:
        return type(error).__name__
    return "accepted"


EXECUTIONS = (
    Belief(
        "cancel-execution",
        "CancelJobExecution with force ends an execution that its device has started, and no other one",
        Mark.DOCUMENTED,
        ("IN_PROGRESS: CANCELED, IN_PROGRESS",),
        _ends_one,
    ),
    Belief(
        "cancel-execution-unforced",
        "CancelJobExecution without force refuses an execution that its device has started",
        Mark.DOCUMENTED,
        ("InvalidStateTransitionException",),
        _needs_force,
    ),
    Belief(
        "cancel-execution-ended",
        "CancelJobExecution on an execution that has ended is refused in a way that our code takes for the end",
        Mark.INFERRED,
        ("ExecutionEnded", "JobNotCancelable", "JobNotFound"),
        _ended,
    ),
    Belief(
        "cancel-execution-absent",
        "CancelJobExecution for a thing without an execution is not found",
        Mark.DOCUMENTED,
        ("ResourceNotFoundException",),
        _absent_execution,
    ),
    Belief(
        "executions-absent",
        "CancelJobExecution and ListJobExecutionsForJob of a job that is not there are not found",
        Mark.DOCUMENTED,
        ("ResourceNotFoundException, ResourceNotFoundException",),
        _absent_job,
    ),
    Belief(
        "executions-names",
        "ListJobExecutionsForJob gives thing ARNs: what follows `:thing/` is the name, colons and all",
        Mark.DOCUMENTED,
        ("its name",),
        _names_with_colons,
    ),
    Belief(
        "executions-filter",
        "ListJobExecutionsForJob gives executions in one status, if asked",
        Mark.DOCUMENTED,
        ("IN_PROGRESS",),
        _running_only,
    ),
    Belief(
        "executions-paging",
        "ListJobExecutionsForJob pages: each execution once, no page longer than asked",
        Mark.DOCUMENTED,
        ("3, 3 different, at most 1 a page",),
        _pages,
    ),
)
