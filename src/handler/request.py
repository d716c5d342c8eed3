"""The request to cancel: its format, its limits, and what the stack's policy makes of it.

A request can only make a run safer. It may turn `force` off, `dryRun` on and `maxJobs` down; one that tries the other
way, or steps out of the prefix or over the cap, is rejected as a whole.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import RequestRejected
from .fields import quoted, read_flag, read_job_id, read_object, read_text
from .selector import Selector, check_prefix, parse_selector

_REASON_CODE = re.compile(r"[A-Z0-9_]{1,128}")  # CancelJob's own limits, as those of the comment
_MAX_COMMENT = 2028
_MAX_ASKED_BY = 512  # characters of a log line: room for a logical id and the ARN of its stack
MAX_WAIT_MINUTES = 50  # an answer within ServiceTimeout, which is an hour at the most, is to have time left
MAX_WAITED_JOBS = 500  # they are looked at again and again, within the service's quota

KEYS = (
    *("jobId", "jobIds", "select", "force", "dryRun", "maxJobs"),
    *("reasonCode", "comment", "waitForExecutionsMinutes"),
)
_WHICH = ("jobId", "jobIds", "select")


@dataclass(frozen=True, slots=True)
class Policy:
    """What the stack's parameters allow, whoever asks."""

    force: bool
    dry_run: bool
    max_jobs: int
    job_id_prefix: str
    protection_tag_key: str

    def protects(self, tags: Mapping[str, str]) -> bool:
        """Compared as IAM does: condition keys without regard to case, and the value by StringEqualsIgnoreCase."""
        return (self.protection_tag_key.lower(), "true") in {(key.lower(), tag.lower()) for key, tag in tags.items()}

    @property
    def protection(self) -> str:
        """What is said of a job that is protected."""
        return f"the job is tagged {self.protection_tag_key}=true"


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """A request that the policy allows: either for the jobs that it names, or for those that it selects.

    `wait_minutes`: how long to wait, after the cancel, for the executions that devices have started; 0 is not at all.
    `asked_by` says who asks, whatever the comment says.
    """

    job_ids: tuple[str, ...]
    selector: Selector | None
    force: bool
    dry_run: bool
    max_jobs: int
    reason_code: str
    comment: str
    wait_minutes: int = 0
    asked_by: str = ""

    @property
    def cancels_with(self) -> tuple[str, str]:
        """What a job that this request has cancelled is known by."""
        return self.reason_code, self.comment


@dataclass(frozen=True, slots=True)
class Attribution:
    """The reasonCode and comment that a job gets where the request gives none, so that its history names us."""

    reason_code: str
    comment: str


def parse_request(document: object, policy: Policy, attribution: Attribution) -> CancelRequest:
    """Read the value of `cancel` and hold it against the policy.

    Raises RequestRejected, which names the field and what it allows.
    """
    fields = read_object("cancel", document, KEYS)
    if sum(key in fields for key in _WHICH) != 1:
        raise RequestRejected("cancel", f"must have exactly one of {', '.join(_WHICH)}")
    wait_minutes = _wait_minutes(fields.get("waitForExecutionsMinutes"))
    max_jobs = _max_jobs(fields.get("maxJobs"), policy)
    if wait_minutes:
        max_jobs = min(max_jobs, MAX_WAITED_JOBS)
    job_ids = _job_ids(fields, policy)
    check_cap("jobIds", len(job_ids), max_jobs)
    return CancelRequest(
        job_ids=job_ids,
        selector=_selector(fields["select"], policy) if "select" in fields else None,
        force=_force(fields.get("force"), policy),
        dry_run=_dry_run(fields.get("dryRun"), policy),
        max_jobs=max_jobs,
        reason_code=_reason_code(fields.get("reasonCode"), attribution),
        comment=_comment(fields.get("comment"), attribution),
        wait_minutes=wait_minutes,
        asked_by=_comment(None, attribution)[:_MAX_ASKED_BY],
    )


def check_cap(field: str, number: int, max_jobs: int) -> None:
    """Raises RequestRejected if a run that may cancel `max_jobs` is asked for more."""
    if number > max_jobs:
        raise RequestRejected(
            field,
            f"means {number} jobs, and a run may cancel at most {max_jobs}, so none was cancelled: "
            f"ask for fewer, or raise MaxJobsPerRun (or maxJobs); a run that waits may have {MAX_WAITED_JOBS} at most",
        )


def _job_ids(fields: Mapping[str, object], policy: Policy) -> tuple[str, ...]:
    if "select" in fields:
        return ()
    named = {"jobId": fields["jobId"]} if "jobId" in fields else _numbered(fields["jobIds"])
    return tuple(dict.fromkeys(_job_id(field, value, policy) for field, value in named.items()))


def _selector(value: object, policy: Policy) -> Selector:
    selector = parse_selector(value)
    check_prefix(selector, policy.job_id_prefix)
    return selector


def _numbered(value: object) -> dict[str, object]:
    if not isinstance(value, list) or not value:
        raise RequestRejected("jobIds", "must be a list of at least one job id")
    return {f"jobIds[{index}]": item for index, item in enumerate(value)}


def _job_id(field: str, value: object, policy: Policy) -> str:
    job_id = read_job_id(field, value)
    if not job_id.startswith(policy.job_id_prefix):
        raise RequestRejected(field, f"must start with {quoted(policy.job_id_prefix)}, the stack's JobIdPrefix")
    return job_id


def _force(value: object, policy: Policy) -> bool:
    asked = read_flag("force", value, default=policy.force)
    if asked and not policy.force:
        raise RequestRejected("force", "must be false or left out, since the stack's parameter Force is false")
    return asked


def _dry_run(value: object, policy: Policy) -> bool:
    asked = read_flag("dryRun", value, default=policy.dry_run)
    if policy.dry_run and not asked:
        raise RequestRejected("dryRun", "must be true or left out, since the stack's parameter DryRun is true")
    return asked


def _max_jobs(value: object, policy: Policy) -> int:
    if value is None:
        return policy.max_jobs
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= policy.max_jobs:
        raise RequestRejected(
            "maxJobs", f"must be a whole number from 1 to {policy.max_jobs}, the stack's MaxJobsPerRun"
        )
    return value


def _wait_minutes(value: object) -> int:
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_WAIT_MINUTES:
        raise RequestRejected("waitForExecutionsMinutes", f"must be a whole number from 0 to {MAX_WAIT_MINUTES}")
    return value


def _reason_code(value: object, attribution: Attribution) -> str:
    if value is None:
        return attribution.reason_code
    return read_text("reasonCode", value, _REASON_CODE, "1 to 128 of the characters A-Z 0-9 _")


def _comment(value: object, attribution: Attribution) -> str:
    if value is None:
        return "".join(filter(_is_visible, attribution.comment))[:_MAX_COMMENT]
    if not isinstance(value, str) or not 1 <= len(value) <= _MAX_COMMENT or not all(map(_is_visible, value)):
        raise RequestRejected(
            "comment", f"must be a string of 1 to {_MAX_COMMENT} characters, none of them a control or format character"
        )
    return value


def _is_visible(character: str) -> bool:
    """False for control, format, surrogate, private and unassigned characters: CancelJob forbids all of Unicode's C."""
    return not unicodedata.category(character).startswith("C")
