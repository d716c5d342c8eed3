"""The limits of CancelJob for id, reasonCode and comment. Of these, botocore checks only the minimum length."""

from collections.abc import Callable

from tools.conformance.assumption import Assumption, documented
from tools.conformance.testbed import COMMENT, REASON, IotTestbed, error_code


def _refuses_text(name: str, text: str, *, reason: str = REASON, comment: str = COMMENT) -> Assumption:
    def probe(testbed: IotTestbed) -> str:
        job_id = testbed.job()
        code = error_code(lambda: testbed.cancel(job_id, reason=reason, comment=comment))
        return f"{code}; {testbed.status(job_id)}"

    claim = f"CancelJob refuses {text}, and does not cancel the job"
    return documented(name, claim, "InvalidRequestException; IN_PROGRESS", probe)


def _refuses_id(name: str, text: str, job_id: str) -> Assumption:
    def probe(testbed: IotTestbed) -> str:
        calls: list[Callable[[], object]] = [
            lambda: testbed.cancel(job_id),
            lambda: testbed.iot.describe_job(jobId=job_id),
        ]
        return ", ".join(error_code(call) for call in calls)

    claim = f"CancelJob and DescribeJob refuse {text}"
    return documented(name, claim, "InvalidRequestException, InvalidRequestException", probe)


def _longest(testbed: IotTestbed) -> Callable[[], str]:
    job_id, reason, comment = testbed.job(), "A_9" + "Z" * 125, "é " * 1013 + "ab"
    testbed.cancel(job_id, reason=reason, comment=comment)

    def read() -> str:
        job = testbed.jobs.describe(job_id)
        is_same = (job.reason_code, job.comment) == (reason, comment)
        return f"{job.status}, {'as given' if is_same else 'not as given'}"

    return read


def _longest_id(testbed: IotTestbed) -> str:
    return error_code(lambda: testbed.cancel(f"{testbed.prefix}{'x' * (64 - len(testbed.prefix))}"))


LIMITS = (
    _refuses_id("id-pattern", "a job id with a dot", "a.b"),
    _refuses_id("id-length", "a job id of 65 characters", "x" * 65),
    documented(
        "id-longest",
        "CancelJob accepts a job id of 64 characters, and returns ResourceNotFoundException",
        "ResourceNotFoundException",
        _longest_id,
    ),
    _refuses_text("reason-pattern", "a reasonCode in lower case", reason="stale"),
    _refuses_text("reason-length", "a reasonCode of 129 characters", reason="A" * 129),
    _refuses_text("comment-length", "a comment of 2029 characters", comment="c" * 2029),
    _refuses_text("comment-pattern", "a comment with a line feed", comment="a\nb"),
    documented(
        "longest-texts",
        "CancelJob accepts a reasonCode of 128 and a comment of 2028 characters",
        "CANCELED, as given",
        _longest,
    ),
)
