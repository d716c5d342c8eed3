"""What CancelJob takes as id, reasonCode and comment. botocore does not hold them to anything but a minimal length."""

from collections.abc import Callable

from .belief import Belief, Mark
from .scene import COMMENT, REASON, Scene, refusal


def _refused_text(name: str, what: str, *, reason: str = REASON, comment: str = COMMENT) -> Belief:
    def probe(scene: Scene) -> str:
        job_id = scene.job()
        code = refusal(lambda: scene.cancel(job_id, reason=reason, comment=comment))
        return f"{code}; {scene.status(job_id)}"

    claim = f"CancelJob refuses {what}, and cancels nothing"
    return Belief(name, claim, Mark.DOCUMENTED, ("InvalidRequestException; IN_PROGRESS",), probe)


def _refused_id(name: str, what: str, job_id: str) -> Belief:
    def probe(scene: Scene) -> str:
        calls: list[Callable[[], object]] = [
            lambda: scene.cancel(job_id),
            lambda: scene.iot.describe_job(jobId=job_id),
        ]
        return ", ".join(refusal(call) for call in calls)

    claim = f"CancelJob and DescribeJob refuse {what}"
    return Belief(name, claim, Mark.DOCUMENTED, ("InvalidRequestException, InvalidRequestException",), probe)


def _longest(scene: Scene) -> Callable[[], str]:
    job_id, reason, comment = scene.job(), "A_9" + "Z" * 125, "é " * 1013 + "ab"
    scene.cancel(job_id, reason=reason, comment=comment)

    def read() -> str:
        job = scene.jobs.describe(job_id)
        whole = (job.reason_code, job.comment) == (reason, comment)
        return f"{job.status}, {'as given' if whole else 'not as given'}"

    return read


def _longest_id(scene: Scene) -> str:
    return refusal(lambda: scene.cancel(f"{scene.prefix}{'x' * (64 - len(scene.prefix))}"))


LIMITS = (
    _refused_id("id-pattern", "a job id with a dot", "a.b"),
    _refused_id("id-length", "a job id of 65 characters", "x" * 65),
    Belief(
        "id-longest",
        "CancelJob takes a job id of 64 characters, and does not find it",
        Mark.DOCUMENTED,
        ("ResourceNotFoundException",),
        _longest_id,
    ),
    _refused_text("reason-pattern", "a reasonCode in lower case", reason="stale"),
    _refused_text("reason-length", "a reasonCode of 129 characters", reason="A" * 129),
    _refused_text("comment-length", "a comment of 2029 characters", comment="c" * 2029),
    _refused_text("comment-pattern", "a comment with a line feed", comment="a\nb"),
    Belief(
        "longest-texts",
        "CancelJob takes a reasonCode of 128 and a comment of 2028 characters",
        Mark.DOCUMENTED,
        ("CANCELED, as given",),
        _longest,
    ),
)
