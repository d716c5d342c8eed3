"""Behavior that AWS does not document: expected is whatever the handler copes with. The probes call its code."""

from collections.abc import Callable

from botocore.exceptions import ClientError

from handler.cancellation.criteria import Criteria
from handler.cancellation.job import JobStatus
from handler.cancellation.selection import GREENGRASS_NAMESPACE, select
from handler.errors import JobNotFound
from tools.conformance.assumption import Assumption, Evidence
from tools.conformance.testbed import IotTestbed


def _scheduled(testbed: IotTestbed) -> str:
    return testbed.cancel_by_handler(testbed.job(scheduled=True)).outcome


def _being_deleted(testbed: IotTestbed) -> Callable[[], str]:
    job_id = testbed.job()
    testbed.devices.begin_deletion(job_id)
    return lambda: testbed.cancel_by_handler(job_id).outcome


def _again(testbed: IotTestbed) -> str:
    """Cancel twice, as the SDK does if the first response is lost."""
    job_id = testbed.job()
    return ", ".join(testbed.cancel_by_handler(job_id).outcome for _ in range(2))


def _force_later(testbed: IotTestbed) -> Callable[[], str]:
    job_id = testbed.canceled_job(2, started=2)

    def read() -> str:
        result = testbed.cancel_by_handler(job_id, force=True)
        return f"{result.outcome}, {result.executions_left_in_progress} left"

    return read


def _tags_of_absent(testbed: IotTestbed) -> str:
    arn = testbed.jobs.describe(testbed.job()).arn
    try:
        return str(testbed.jobs.tags(f"{arn.rpartition('/')[0]}/{testbed.prefix}absent"))
    except JobNotFound as error:
        return type(error).__name__


def _unknown_namespace(testbed: IotTestbed) -> Callable[[], str]:
    job_id = testbed.job()
    return lambda: (
        "listed" if job_id in testbed.list_own_jobs(JobStatus.IN_PROGRESS, "unused-namespace") else "not listed"
    )


def _selects(testbed: IotTestbed) -> Callable[[], str]:
    """The handler also lists Greengrass's namespace, in which the account may have no jobs."""
    job_id = testbed.job()
    return lambda: _selection_result(testbed, job_id)


def _greengrass(testbed: IotTestbed) -> str | Callable[[], str]:
    try:
        job_id = testbed.job(namespaceId=GREENGRASS_NAMESPACE)
    except ClientError as error:
        return f"{error.operation_name}: {error.response['Error']['Code']}"
    return lambda: _selection_result(testbed, job_id)


def _selection_result(testbed: IotTestbed, job_id: str) -> str:
    selection = select(testbed.session(), Criteria(job_id_glob=f"{testbed.prefix}*"))
    if job_id in {each.job_id for each in selection.jobs}:
        return "selected"
    return next((f"excluded: {each.why}" for each in selection.excluded if each.job_id == job_id), "not listed")


UNDOCUMENTED = (
    Assumption(
        "cancel-scheduled",
        "CancelJob on a SCHEDULED job cancels it",
        Evidence.INFERRED,
        ("CANCELED", "FAILED"),
        _scheduled,
    ),
    Assumption(
        "cancel-deleted",
        "CancelJob on a job that is being deleted returns an error; the function reports the job as GONE",
        Evidence.UNKNOWN,
        ("GONE", "DEFERRED"),
        _being_deleted,
    ),
    Assumption(
        "cancel-again",
        "A second CancelJob, as after a lost response, is a success for the function",
        Evidence.INFERRED,
        ("CANCELED, ALREADY_CANCELED",),
        _again,
    ),
    Assumption(
        "force-later",
        "With force, the function cancels the executions that an earlier cancel without force left running",
        Evidence.INFERRED,
        ("ALREADY_CANCELED, 0 left", "CANCELED, 0 left", "FAILED, 2 left"),
        _force_later,
    ),
    Assumption(
        "tags-absent",
        "ListTagsForResource of an absent job returns ResourceNotFoundException, or no tags",
        Evidence.UNKNOWN,
        ("JobNotFound", "{}"),
        _tags_of_absent,
    ),
    Assumption(
        "list-unknown-namespace",
        "ListJobs in an unknown namespace returns no jobs, or ignores the namespace",
        Evidence.UNKNOWN,
        ("not listed", "listed"),
        _unknown_namespace,
    ),
    Assumption(
        "select", "A selection also works in an account without Greengrass", Evidence.UNKNOWN, ("selected",), _selects
    ),
    Assumption(
        "select-greengrass",
        "A selection never includes a job in Greengrass's namespace, whether or not a plain ListJobs lists such jobs",
        Evidence.UNKNOWN,
        (
            "excluded: owned by AWS IoT Greengrass",
            "not listed",
            "CreateJob: InvalidRequestException",
            "CreateJob: AccessDeniedException",
        ),
        _greengrass,
    ),
)
