"""The request to cancel: its format, its limits, and what the stack's parameters allow of it.

A request can only make a run safer. It may turn `force` off, `dryRun` on and `maxJobs` down. A request that tries the
opposite, steps out of the prefix or exceeds the job limit is rejected as a whole.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Self

from handler.cancellation.criteria import Criteria, parse_criteria
from handler.cancellation.validation import (
    quoted,
    read_flag,
    read_job_id,
    read_object,
    read_text,
    without_quotes,
)
from handler.errors import RequestRejected

# CancelJob's own limits for reasonCode and comment.
_REASON_CODE = re.compile(r"[A-Z0-9_]{1,128}")
_MAX_COMMENT_LENGTH = 2028
_MAX_ASKED_BY_LENGTH = 512  # in a log line: room for a logical id and the ARN of its stack
MAX_WAIT_MINUTES = 50  # a response within ServiceTimeout, which is at most an hour, must still have time
# With a wait, each poll describes all of them, within the service's quota. With a plan, a message contains their ids.
MAX_WAITED_JOBS = 500
PLAN_ID_LENGTH = 32
_PLAN_ID = re.compile(rf"[0-9a-f]{{{PLAN_ID_LENGTH}}}")

KEYS = (
    *("jobId", "jobIds", "select", "force", "dryRun", "maxJobs"),
    *("reasonCode", "comment", "waitForExecutionsMinutes", "planId"),
)
# Why a custom resource and Terraform accept no planId.
NO_PLAN = "a plan is for a request; the jobs of a deletion are selected when the stack is deleted"
SCOPES = ("jobId", "jobIds", "select")
_OPTIONS = tuple(key for key in KEYS if key not in SCOPES)
# The value of a flag on a deletion, if it cannot be read or asks for more than the stack allows now.
SAFE_VALUES = {"force": False, "dryRun": True}


@dataclass(frozen=True, slots=True)
class StackLimits:
    """What the stack's parameters allow, for every request.

    `forces_teardowns`: force is allowed on teardowns even if `force` is False. `max_forced_executions`: with force, a
    job with more running executions is not canceled. `required_tag`: the key and the value of the tag that a job must
    have to be canceled, or None.
    """

    force: bool
    dry_run: bool
    max_jobs: int
    job_id_prefix: str
    protection_tag_key: str
    forces_teardowns: bool = False
    max_forced_executions: int = 1000
    required_tag: tuple[str, str] | None = None

    @property
    def of_teardowns(self) -> "StackLimits":
        """The limits for a teardown, on which force may be allowed in addition."""
        return replace(self, force=self.force or self.forces_teardowns)

    def why_protected(self, tags: Mapping[str, str]) -> str:
        """Return why a job with these tags cannot be canceled, or an empty string.

        Compares as IAM does: condition keys without regard to case; the value of the protection tag too
        (StringEqualsIgnoreCase), but not that of the required tag (StringNotEquals).
        """
        by_key = [(key.lower(), tag) for key, tag in tags.items()]
        if (self.protection_tag_key.lower(), "true") in {(key, tag.lower()) for key, tag in by_key}:
            return f"the job is tagged {self.protection_tag_key}=true"
        if self.required_tag is None:
            return ""
        required_key, value = self.required_tag
        if (required_key.lower(), value) in by_key:
            return ""
        return f"the job is not tagged {required_key}={value}, the stack's RequiredTag"


@dataclass(frozen=True, slots=True)
class CancelReason:
    """Who requested a run, and the reasonCode and comment with which its jobs are canceled."""

    asked_by: str
    reason_code: str
    comment: str

    @classmethod
    def default(cls, reason_code: str, comment: str) -> Self:
        """Return what a job gets where the request gives nothing, so that its history names this tool."""
        visible = "".join(islice(filter(_is_visible, comment), _MAX_COMMENT_LENGTH))  # the text may have megabytes
        return cls(visible[:_MAX_ASKED_BY_LENGTH], reason_code, visible)


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """A request that the stack allows: either for the jobs that it names, or for those that match its criteria.

    `wait_minutes`: how long to wait, after the cancellation, for the executions that devices have started; 0: no wait.
    `plan_id`: the digest of the jobs that the run may cancel, from the report of a dry run, or empty.
    """

    job_ids: tuple[str, ...]
    criteria: Criteria | None
    force: bool
    dry_run: bool
    max_jobs: int
    reason: CancelReason
    wait_minutes: int = 0
    plan_id: str = ""

    @property
    def job_limit_key(self) -> str:
        """The key of the request that limits the jobs to MAX_WAITED_JOBS, or an empty string."""
        return "waitForExecutionsMinutes" if self.wait_minutes else "planId" if self.plan_id else ""


def parse_request(document: object, limits: StackLimits, default: CancelReason) -> CancelRequest:
    """Parse the value of `cancel`, and check it against the limits of the stack. The run checks its criteria.

    Raises RequestRejected, which names the field and what it allows.
    """
    fields = read_object("cancel", document, KEYS)
    if sum(key in fields for key in SCOPES) != 1:
        raise RequestRejected("cancel", f"must have exactly one of {', '.join(SCOPES)}")
    wait_minutes = _wait_minutes(fields.get("waitForExecutionsMinutes"))
    plan_id = _plan_id(fields.get("planId"))
    max_jobs = _max_jobs(fields.get("maxJobs"), limits)
    if wait_minutes or plan_id:
        max_jobs = min(max_jobs, MAX_WAITED_JOBS)
    request = CancelRequest(
        job_ids=_job_ids(fields, limits),
        criteria=parse_criteria(fields["select"]) if "select" in fields else None,
        force=_force(fields.get("force"), limits, dry_run=limits.dry_run or fields.get("dryRun") is True),
        dry_run=_dry_run(fields.get("dryRun"), limits),
        max_jobs=max_jobs,
        reason=CancelReason(
            default.asked_by,
            _reason_code(fields.get("reasonCode"), default),
            _comment(fields.get("comment"), default),
        ),
        wait_minutes=wait_minutes,
        plan_id=plan_id,
    )
    check_job_limit("jobIds", len(request.job_ids), max_jobs, key=request.job_limit_key)
    return request


def parse_leniently(
    document: Mapping[str, object], limits: StackLimits, default: CancelReason
) -> tuple[CancelRequest, tuple[RequestRejected, ...]]:
    """Parse the request of a deletion. Returns it without the options that cannot be read, and their rejections.

    A flag that cannot be read has its safe value. A named job need not have the prefix: it may be gone or finished, and
    then there is nothing to refuse. Raises RequestRejected for any other fault.
    """
    limits = replace(limits, job_id_prefix="")
    readable = dict(document)
    ignored: list[RequestRejected] = []
    while True:
        try:
            return parse_request(readable, limits, default), tuple(ignored)
        except RequestRejected as rejection:
            option = rejection.field
            if option not in _OPTIONS:
                raise
            ignored.append(rejection)
            if option in SAFE_VALUES:
                readable[option] = SAFE_VALUES[option]
            else:
                del readable[option]


def warning_of(ignored: RequestRejected) -> str:
    """Return the warning that `parse_leniently` ignored an option, in the spelling of the rejection."""
    option = ignored.field[:1].lower() + ignored.field[1:]
    if option in SAFE_VALUES:
        return f"treating {ignored.field} as {str(SAFE_VALUES[option]).lower()}: {ignored.allowed}"
    return f"ignored property {ignored}"


def check_job_limit(field: str, number: int, max_jobs: int, *, key: str = "", canceled: str = "none of them") -> None:
    """Raise RequestRejected if a run that may cancel `max_jobs` matches more; it says which jobs were `canceled`.

    `key` is the job_limit_key of the request.
    """
    if number <= max_jobs:
        return
    matches = "names" if field == "jobIds" else "matches"
    text = f"{matches} {number} jobs, but the limit is {max_jobs}, so this run canceled {canceled}; select fewer jobs"
    if key and max_jobs == MAX_WAITED_JOBS:
        raise RequestRejected(field, f"{text}: {max_jobs} is the maximum with ", key)
    raise RequestRejected(field, f"{text}, or raise MaxJobsPerRun or ", "maxJobs")


def _job_ids(fields: Mapping[str, object], limits: StackLimits) -> tuple[str, ...]:
    if "select" in fields:
        return ()
    values = {"jobId": fields["jobId"]} if "jobId" in fields else _numbered(fields["jobIds"])
    return tuple(dict.fromkeys(_job_id(field, value, limits) for field, value in values.items()))


def _numbered(value: object) -> dict[str, object]:
    if not isinstance(value, list) or not value:
        raise RequestRejected("jobIds", "must be a list of at least one job id")
    return {f"jobIds[{index}]": item for index, item in enumerate(value)}


def _job_id(field: str, value: object, limits: StackLimits) -> str:
    job_id = read_job_id(field, value)
    if not job_id.startswith(limits.job_id_prefix):
        raise RequestRejected(field, f"must start with {quoted(limits.job_id_prefix)}, the stack's JobIdPrefix")
    return job_id


def _force(value: object, limits: StackLimits, *, dry_run: bool) -> bool:
    """Return whether to use force. A dry run may have the force of a teardown: `plan` sends a deletion as a request."""
    force = read_flag("force", value, default=limits.force)
    if force and not (limits.of_teardowns.force if dry_run else limits.force):
        parameter = "TEARDOWN, and this is not a teardown" if limits.forces_teardowns else "false"
        raise RequestRejected("force", f"must be false or omitted, since the stack's parameter Force is {parameter}")
    return force


def _dry_run(value: object, limits: StackLimits) -> bool:
    dry_run = read_flag("dryRun", value, default=limits.dry_run)
    if limits.dry_run and not dry_run:
        raise RequestRejected("dryRun", "must be true or omitted, since the stack's parameter DryRun is true")
    return dry_run


def _max_jobs(value: object, limits: StackLimits) -> int:
    if value is None:
        return limits.max_jobs
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= limits.max_jobs:
        raise RequestRejected(
            "maxJobs",
            f"must be a whole number from 1 to {limits.max_jobs}, the stack's MaxJobsPerRun{without_quotes(value)}",
        )
    return value


def _wait_minutes(value: object) -> int:
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_WAIT_MINUTES:
        raise RequestRejected(
            "waitForExecutionsMinutes", f"must be a whole number from 0 to {MAX_WAIT_MINUTES}{without_quotes(value)}"
        )
    return value


def _plan_id(value: object) -> str:
    if value is None:
        return ""
    return read_text("planId", value, _PLAN_ID, f"{PLAN_ID_LENGTH} of the characters 0-9 a-f, from a dry run's report")


def _reason_code(value: object, default: CancelReason) -> str:
    if value is None:
        return default.reason_code
    return read_text("reasonCode", value, _REASON_CODE, "1 to 128 of the characters A-Z 0-9 _")


def _comment(value: object, default: CancelReason) -> str:
    if value is None:
        return default.comment
    if not isinstance(value, str) or not 1 <= len(value) <= _MAX_COMMENT_LENGTH or not all(map(_is_visible, value)):
        raise RequestRejected(
            "comment",
            f"must be a string of 1 to {_MAX_COMMENT_LENGTH} characters, none of them a control or format character",
        )
    return value


def _is_visible(character: str) -> bool:
    """Return False for all of Unicode's category C (control, format, surrogate, …), which CancelJob forbids."""
    return not unicodedata.category(character).startswith("C")
