"""The executions of a job: ListJobExecutionsForJob and CancelJobExecution."""

from collections.abc import Callable

from handler.errors import ExecutionEnded, JobNotCancelable, JobNotFound
from tools.conformance.assumption import Assumption, Evidence, documented
from tools.conformance.testbed import IotTestbed, error_code


def _ends_one(testbed: IotTestbed) -> Callable[[], str]:
    job_id = testbed.job(2)
    testbed.start(job_id, *testbed.things(2))
    testbed.jobs.cancel_execution(job_id, testbed.things(1)[0])
    return lambda: testbed.statuses(job_id)


def _needs_force(testbed: IotTestbed) -> str:
    job_id, (thing,) = testbed.job(), testbed.things(1)
    testbed.start(job_id, thing)
    return error_code(lambda: testbed.iot.cancel_job_execution(jobId=job_id, thingName=thing))


def _names_with_colons(testbed: IotTestbed) -> Callable[[], str]:
    job_id, (thing,) = testbed.canceled_job(started=1), testbed.things(1)

    def read() -> str:
        running = list(testbed.jobs.running_things(job_id))
        return ", ".join("its name" if name == thing else name for name in running)

    return read


def _running_only(testbed: IotTestbed) -> Callable[[], str]:
    job_id, things = testbed.job(3), testbed.things(3)
    testbed.start(job_id, things[1])
    testbed.succeed(job_id, things[2])

    def read() -> str:
        page = testbed.iot.list_job_executions_for_job(jobId=job_id, status="IN_PROGRESS")
        return ", ".join(each["jobExecutionSummary"]["status"] for each in page["executionSummaries"])

    return read


def _pages(testbed: IotTestbed) -> Callable[[], str]:
    job_id = testbed.job(3)

    def read() -> str:
        listing = testbed.iot.get_paginator("list_job_executions_for_job")
        pages = [
            page["executionSummaries"] for page in listing.paginate(jobId=job_id, PaginationConfig={"PageSize": 1})
        ]
        arns = [each["thingArn"] for page in pages for each in page]
        return f"{len(arns)}, {len(set(arns))} different, at most {max(map(len, pages))} a page"

    return read


def _absent_execution(testbed: IotTestbed) -> str:
    job_id, thing = testbed.job(), testbed.things(2)[1]
    return error_code(lambda: testbed.iot.cancel_job_execution(jobId=job_id, thingName=thing, force=True))


def _absent_job(testbed: IotTestbed) -> str:
    job_id, (thing,) = f"{testbed.prefix}absent", testbed.things(1)
    calls: list[Callable[[], object]] = [
        lambda: testbed.iot.cancel_job_execution(jobId=job_id, thingName=thing, force=True),
        lambda: testbed.iot.list_job_executions_for_job(jobId=job_id),
    ]
    return ", ".join(error_code(call) for call in calls)


def _ended(testbed: IotTestbed) -> str:
    """Return the adapter's error. After each of these errors, the handler describes the job again."""
    job_id, (thing,) = testbed.completed_job(), testbed.things(1)
    try:
        testbed.jobs.cancel_execution(job_id, thing)
    except (ExecutionEnded, JobNotCancelable, JobNotFound) as error:
        return type(error).__name__
    return "accepted"


EXECUTIONS = (
    documented(
        "cancel-execution",
        "CancelJobExecution with force cancels an execution that its device has started, and no other one",
        "IN_PROGRESS: CANCELED, IN_PROGRESS",
        _ends_one,
    ),
    documented(
        "cancel-execution-unforced",
        "CancelJobExecution without force refuses an execution that its device has started",
        "InvalidStateTransitionException",
        _needs_force,
    ),
    Assumption(
        "cancel-execution-ended",
        "CancelJobExecution on an execution that has ended is refused with an error that the function treats as ended",
        Evidence.INFERRED,
        ("ExecutionEnded", "JobNotCancelable", "JobNotFound"),
        _ended,
    ),
    documented(
        "cancel-execution-absent",
        "CancelJobExecution for a thing without an execution returns ResourceNotFoundException",
        "ResourceNotFoundException",
        _absent_execution,
    ),
    documented(
        "executions-absent",
        "CancelJobExecution and ListJobExecutionsForJob of an absent job return ResourceNotFoundException",
        "ResourceNotFoundException, ResourceNotFoundException",
        _absent_job,
    ),
    documented(
        "executions-names",
        "ListJobExecutionsForJob returns thing ARNs: the name, which may contain colons, follows `:thing/`",
        "its name",
        _names_with_colons,
    ),
    documented(
        "executions-filter",
        "ListJobExecutionsForJob filters executions by status",
        "IN_PROGRESS",
        _running_only,
    ),
    documented(
        "executions-paging",
        "ListJobExecutionsForJob returns each execution once, in pages of at most the requested size",
        "3, 3 different, at most 1 a page",
        _pages,
    ),
)
