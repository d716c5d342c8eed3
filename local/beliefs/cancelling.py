"""CancelJob, by the state that the job is in."""

from collections.abc import Callable

from .belief import Belief, Mark
from .scene import Scene, refusal


def _cancels(scene: Scene, *, force: bool) -> Callable[[], str]:
    job_id = scene.job(2)
    scene.start(job_id, scene.things(2)[1])
    scene.cancel(job_id, force=force)
    return lambda: scene.told(job_id)


def _ended_executions_stay(scene: Scene) -> Callable[[], str]:
    job_id = scene.job(2)
    scene.succeed(job_id, scene.things(1)[0])
    scene.start(job_id, scene.things(2)[1])
    scene.cancel(job_id, force=True)
    return lambda: scene.told(job_id)


def _late_report(scene: Scene) -> Callable[[], str]:
    job_id = scene.canceled_job(started=1)
    scene.succeed(job_id, *scene.things(1))
    return lambda: scene.told(job_id)


def _report_after_force(scene: Scene) -> str:
    job_id = scene.job()
    scene.start(job_id, *scene.things(1))
    scene.cancel(job_id, force=True)
    scene.wait(f"the cancel of {job_id}", lambda: scene.told(job_id) == "CANCELED: CANCELED")
    return refusal(lambda: scene.succeed(job_id, *scene.things(1)))


def _answer(scene: Scene) -> str:
    job_id = scene.job(description="a belief")
    answer = scene.iot.cancel_job(jobId=job_id)
    return ", ".join(sorted(answer.keys() - {"ResponseMetadata"}))


def _canceled_refuses(scene: Scene, *, force: bool) -> str:
    job_id = scene.canceled_job()
    code = refusal(lambda: scene.cancel(job_id, force=force, reason="AGAIN", comment="again"))
    return f"{code}; {scene.jobs.describe(job_id).reason_code}"


def _completed_refuses(scene: Scene, *, force: bool) -> str:
    job_id = scene.completed_job()
    code = refusal(lambda: scene.cancel(job_id, force=force))
    return f"{code}; {scene.told(job_id)}"


def _reason_and_comment(scene: Scene) -> Callable[[], str]:
    job_id = scene.job()
    scene.cancel(job_id, reason="WHY_2", comment="for a reason: é ✓")
    return lambda: f"{scene.jobs.describe(job_id).reason_code}: {scene.jobs.describe(job_id).comment}"


CANCELLING = (
    Belief(
        "cancel",
        "CancelJob without force ends QUEUED executions; those that devices have started run on",
        Mark.DOCUMENTED,
        ("CANCELED: CANCELED, IN_PROGRESS",),
        lambda scene: _cancels(scene, force=False),
    ),
    Belief(
        "cancel-force",
        "CancelJob with force ends QUEUED executions, and those that devices have started",
        Mark.DOCUMENTED,
        ("CANCELED: CANCELED, CANCELED",),
        lambda scene: _cancels(scene, force=True),
    ),
    Belief(
        "cancel-force-ended",
        "CancelJob with force leaves an execution that has ended as it is",
        Mark.DOCUMENTED,
        ("CANCELED: SUCCEEDED, CANCELED",),
        _ended_executions_stay,
    ),
    Belief(
        "late-report",
        "After a cancel without force, a device that had started may still report SUCCEEDED",
        Mark.DOCUMENTED,
        ("CANCELED: SUCCEEDED",),
        _late_report,
    ),
    Belief(
        "report-after-force",
        "After a cancel with force, the device's report is refused",
        Mark.DOCUMENTED,
        ("InvalidStateTransitionException",),
        _report_after_force,
    ),
    Belief(
        "cancel-answer",
        "CancelJob answers no status",
        Mark.DOCUMENTED,
        ("description, jobArn, jobId",),
        _answer,
    ),
    Belief(
        "cancel-canceled",
        "CancelJob on a CANCELED job is refused, and the first reason stays",
        Mark.OBSERVED,
        ("InvalidRequestException; BELIEF",),
        lambda scene: _canceled_refuses(scene, force=False),
    ),
    Belief(
        "cancel-canceled-force",
        "CancelJob with force on a CANCELED job is refused, and the first reason stays",
        Mark.OBSERVED,
        ("InvalidRequestException; BELIEF",),
        lambda scene: _canceled_refuses(scene, force=True),
    ),
    Belief(
        "cancel-completed",
        "CancelJob on a COMPLETED job is refused",
        Mark.OBSERVED,
        ("InvalidRequestException; COMPLETED: SUCCEEDED",),
        lambda scene: _completed_refuses(scene, force=False),
    ),
    Belief(
        "cancel-completed-force",
        "CancelJob with force on a COMPLETED job is refused",
        Mark.OBSERVED,
        ("InvalidRequestException; COMPLETED: SUCCEEDED",),
        lambda scene: _completed_refuses(scene, force=True),
    ),
    Belief(
        "cancel-absent",
        "CancelJob on a job that is not there is not found",
        Mark.DOCUMENTED,
        ("ResourceNotFoundException",),
        lambda scene: refusal(lambda: scene.cancel(f"{scene.prefix}absent")),
    ),
    Belief(
        "settle-absent",
        "Our code calls a job that is not there GONE, with force and without",
        Mark.DOCUMENTED,
        ("GONE, GONE",),
        lambda scene: ", ".join(scene.settle(f"{scene.prefix}absent", force=each).outcome for each in (False, True)),
    ),
    Belief(
        "cancel-history",
        "DescribeJob tells the reasonCode and the comment of the cancel, letter by letter",
        Mark.DOCUMENTED,
        ("WHY_2: for a reason: é ✓",),
        _reason_and_comment,
    ),
)
