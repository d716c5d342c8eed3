"""CancelJob, by the status of the job."""

from collections.abc import Callable

from tools.conformance.assumption import Assumption, Evidence, documented
from tools.conformance.testbed import IotTestbed, error_code


def _cancels(testbed: IotTestbed, *, force: bool) -> Callable[[], str]:
    job_id = testbed.job(2)
    testbed.start(job_id, testbed.things(2)[1])
    testbed.cancel(job_id, force=force)
    return lambda: testbed.statuses(job_id)


def _ended_executions_stay(testbed: IotTestbed) -> Callable[[], str]:
    job_id = testbed.job(2)
    testbed.succeed(job_id, testbed.things(1)[0])
    testbed.start(job_id, testbed.things(2)[1])
    testbed.cancel(job_id, force=True)
    return lambda: testbed.statuses(job_id)


def _late_report(testbed: IotTestbed) -> Callable[[], str]:
    job_id = testbed.canceled_job(started=1)
    testbed.succeed(job_id, *testbed.things(1))
    return lambda: testbed.statuses(job_id)


def _report_after_force(testbed: IotTestbed) -> str:
    job_id = testbed.job()
    testbed.start(job_id, *testbed.things(1))
    testbed.cancel(job_id, force=True)
    testbed.wait_until(f"the cancel of {job_id}", lambda: testbed.statuses(job_id) == "CANCELED: CANCELED")
    return error_code(lambda: testbed.succeed(job_id, *testbed.things(1)))


def _response_fields(testbed: IotTestbed) -> str:
    job_id = testbed.job(description="an assumption")
    response = testbed.iot.cancel_job(jobId=job_id)
    return ", ".join(sorted(response.keys() - {"ResponseMetadata"}))


def _canceled_refuses(testbed: IotTestbed, *, force: bool) -> str:
    job_id = testbed.canceled_job()
    code = error_code(lambda: testbed.cancel(job_id, force=force, reason="AGAIN", comment="again"))
    return f"{code}; {testbed.jobs.describe(job_id).reason_code}"


def _completed_refuses(testbed: IotTestbed, *, force: bool) -> str:
    job_id = testbed.completed_job()
    code = error_code(lambda: testbed.cancel(job_id, force=force))
    return f"{code}; {testbed.statuses(job_id)}"


def _reason_and_comment(testbed: IotTestbed) -> Callable[[], str]:
    job_id = testbed.job()
    testbed.cancel(job_id, reason="WHY_2", comment="for a reason: é ✓")
    return lambda: f"{testbed.jobs.describe(job_id).reason_code}: {testbed.jobs.describe(job_id).comment}"


CANCEL = (
    documented(
        "cancel",
        "CancelJob without force cancels QUEUED executions, and leaves those running that devices have started",
        "CANCELED: CANCELED, IN_PROGRESS",
        lambda testbed: _cancels(testbed, force=False),
    ),
    documented(
        "cancel-force",
        "CancelJob with force cancels QUEUED executions and those that devices have started",
        "CANCELED: CANCELED, CANCELED",
        lambda testbed: _cancels(testbed, force=True),
    ),
    documented(
        "cancel-force-ended",
        "CancelJob with force does not change an execution that has ended",
        "CANCELED: SUCCEEDED, CANCELED",
        _ended_executions_stay,
    ),
    documented(
        "late-report",
        "After a cancel without force, a device that had started may still report SUCCEEDED",
        "CANCELED: SUCCEEDED",
        _late_report,
    ),
    documented(
        "report-after-force",
        "After a cancel with force, the device's report is refused",
        "InvalidStateTransitionException",
        _report_after_force,
    ),
    documented("cancel-answer", "CancelJob returns no status", "description, jobArn, jobId", _response_fields),
    Assumption(
        "cancel-canceled",
        "CancelJob on a CANCELED job is refused, and does not change the reasonCode",
        Evidence.OBSERVED,
        ("InvalidRequestException; ASSUMPTION",),
        lambda testbed: _canceled_refuses(testbed, force=False),
    ),
    Assumption(
        "cancel-canceled-force",
        "CancelJob with force on a CANCELED job is refused, and does not change the reasonCode",
        Evidence.OBSERVED,
        ("InvalidRequestException; ASSUMPTION",),
        lambda testbed: _canceled_refuses(testbed, force=True),
    ),
    Assumption(
        "cancel-completed",
        "CancelJob on a COMPLETED job is refused",
        Evidence.OBSERVED,
        ("InvalidRequestException; COMPLETED: SUCCEEDED",),
        lambda testbed: _completed_refuses(testbed, force=False),
    ),
    Assumption(
        "cancel-completed-force",
        "CancelJob with force on a COMPLETED job is refused",
        Evidence.OBSERVED,
        ("InvalidRequestException; COMPLETED: SUCCEEDED",),
        lambda testbed: _completed_refuses(testbed, force=True),
    ),
    documented(
        "cancel-absent",
        "CancelJob on an absent job returns ResourceNotFoundException",
        "ResourceNotFoundException",
        lambda testbed: error_code(lambda: testbed.cancel(f"{testbed.prefix}absent")),
    ),
    documented(
        "settle-absent",
        "The function reports an absent job as GONE, with force and without",
        "GONE, GONE",
        lambda testbed: ", ".join(
            testbed.cancel_by_handler(f"{testbed.prefix}absent", force=each).outcome for each in (False, True)
        ),
    ),
    documented(
        "cancel-history",
        "DescribeJob returns the reasonCode and the comment of the cancel unchanged",
        "WHY_2: for a reason: é ✓",
        _reason_and_comment,
    ),
)
