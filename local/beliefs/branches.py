"""What nobody has documented: every branch that our code copes with will do. The probes go through our code."""

from collections.abc import Callable
from datetime import UTC, datetime

from botocore.exceptions import ClientError

from handler.cancellation.criteria import Criteria
from handler.cancellation.job import JobStatus
from handler.cancellation.selection import GREENGRASS_NAMESPACE, Selecting
from handler.errors import JobNotFound

from .belief import Belief, Mark
from .scene import Scene


def _scheduled(scene: Scene) -> str:
    return scene.settle(scene.job(scheduled=True)).outcome


def _being_deleted(scene: Scene) -> Callable[[], str]:
    job_id = scene.job()
    scene.devices.begin_deletion(job_id)
    return lambda: scene.settle(job_id).outcome


def _again(scene: Scene) -> str:
    """As the SDK does when an answer was lost."""
    job_id = scene.job()
    return ", ".join(scene.settle(job_id).outcome for _ in range(2))


def _force_later(scene: Scene) -> Callable[[], str]:
    job_id = scene.canceled_job(2, started=2)

    def read() -> str:
        result = scene.settle(job_id, force=True)
        return f"{result.outcome}, {result.executions_left_in_progress} left"

    return read


def _tags_of_absent(scene: Scene) -> str:
    arn = scene.jobs.describe(scene.job()).arn
    try:
        return str(scene.jobs.tags(f"{arn.rpartition('/')[0]}/{scene.prefix}absent"))
    except JobNotFound as error:
        return type(error).__name__


def _unknown_namespace(scene: Scene) -> Callable[[], str]:
    job_id = scene.job()
    return lambda: "listed" if job_id in scene.listed(JobStatus.IN_PROGRESS, "nobodys-namespace") else "not listed"


def _selects(scene: Scene) -> Callable[[], str]:
    """Our code lists the jobs of Greengrass too, in an account that may have none."""
    job_id = scene.job()
    return lambda: _told_by_selection(scene, job_id)


def _greengrass(scene: Scene) -> str | Callable[[], str]:
    try:
        job_id = scene.job(namespaceId=GREENGRASS_NAMESPACE)
    except ClientError as error:
        return f"{error.operation_name}: {error.response['Error']['Code']}"
    return lambda: _told_by_selection(scene, job_id)


def _told_by_selection(scene: Scene, job_id: str) -> str:
    selector, turn = Criteria(job_id_glob=f"{scene.prefix}*"), scene.turn()
    selection = Selecting(selector, scene.jobs, scene.prefix, datetime.now(UTC), turn, None).select()
    if job_id in {each.job_id for each in selection.jobs}:
        return "selected"
    return next((f"left out: {each.why}" for each in selection.left_out if each.job_id == job_id), "not listed")


BRANCHES = (
    Belief(
        "cancel-scheduled",
        "CancelJob on a SCHEDULED job cancels it",
        Mark.INFERRED,
        ("CANCELED", "FAILED"),
        _scheduled,
    ),
    Belief(
        "cancel-deleted",
        "CancelJob on a job that is being deleted is an error; our code calls the job GONE",
        Mark.UNKNOWN,
        ("GONE", "DEFERRED"),
        _being_deleted,
    ),
    Belief(
        "cancel-again",
        "A second CancelJob, as after a lost answer, is a success for our code",
        Mark.INFERRED,
        ("CANCELED, ALREADY_CANCELED",),
        _again,
    ),
    Belief(
        "force-later",
        "With force, our code ends the executions that an earlier cancel without it has left",
        Mark.INFERRED,
        ("ALREADY_CANCELED, 0 left", "CANCELED, 0 left", "FAILED, 2 left"),
        _force_later,
    ),
    Belief(
        "tags-absent",
        "ListTagsForResource of a job that is not there is not found, or tells no tags",
        Mark.UNKNOWN,
        ("JobNotFound", "{}"),
        _tags_of_absent,
    ),
    Belief(
        "list-unknown-namespace",
        "ListJobs in a namespace that nobody has gives no jobs, or ignores the namespace",
        Mark.UNKNOWN,
        ("not listed", "listed"),
        _unknown_namespace,
    ),
    Belief(
        "select",
        "A selection works, in an account without Greengrass too",
        Mark.UNKNOWN,
        ("selected",),
        _selects,
    ),
    Belief(
        "select-greengrass",
        "A selection never takes a job in Greengrass's namespace, whether a plain ListJobs shows those or not",
        Mark.UNKNOWN,
        (
            "left out: owned by AWS IoT Greengrass",
            "not listed",
            "CreateJob: InvalidRequestException",
            "CreateJob: AccessDeniedException",
        ),
        _greengrass,
    ),
)
