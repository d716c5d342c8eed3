"""The request to cancel: its format, its limits, and what the stack's policy makes of it.

A request can only make a run safer. It may turn `force` off, `dryRun` on and `maxJobs` down; one that tries the other
way, or steps out of the prefix or over the cap, is rejected as a whole.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .errors import RequestRejected

# CancelJob's own limits, from the service model. botocore sends patterns and greatest lengths unchecked.
_JOB_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_REASON_CODE = re.compile(r"[A-Z0-9_]{1,128}")
_MAX_COMMENT = 2028
_MAX_QUOTED = 40

KEYS = ("jobId", "jobIds", "force", "dryRun", "maxJobs", "reasonCode", "comment")


@dataclass(frozen=True, slots=True)
class Policy:
    """What the stack's parameters allow, whoever asks."""

    force: bool
    dry_run: bool
    max_jobs: int
    job_id_prefix: str
    protection_tag_key: str


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """A request that the policy allows."""

    job_ids: tuple[str, ...]
    force: bool
    dry_run: bool
    max_jobs: int
    reason_code: str
    comment: str


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
    max_jobs = _max_jobs(fields.get("maxJobs"), policy)
    return CancelRequest(
        job_ids=_job_ids(fields, policy, max_jobs),
        force=_force(fields.get("force"), policy),
        dry_run=_dry_run(fields.get("dryRun"), policy),
        max_jobs=max_jobs,
        reason_code=_reason_code(fields.get("reasonCode"), attribution),
        comment=_comment(fields.get("comment"), attribution),
    )


def read_object(field: str, value: object, keys: Sequence[str]) -> Mapping[str, object]:
    """`value` if it is an object with no key but `keys`. Raises RequestRejected."""
    if not isinstance(value, Mapping):
        raise RequestRejected(field, f"must be an object with the keys {', '.join(keys)}")
    unknown = sorted(str(key) for key in value if key not in keys)
    if unknown:
        raise RequestRejected(field, f"unknown key {quoted(unknown[0])}; the keys are {', '.join(keys)}")
    return value


def is_job_id(value: object) -> bool:
    """True if the service would take `value` as a job id."""
    return isinstance(value, str) and _JOB_ID.fullmatch(value) is not None


def quoted(text: str) -> str:
    """`text` as one short ASCII word in quotes: fit for a log line or a stack event, whoever wrote it."""
    return ascii(text if len(text) <= _MAX_QUOTED else text[:_MAX_QUOTED] + "...")


def _job_ids(fields: Mapping[str, object], policy: Policy, max_jobs: int) -> tuple[str, ...]:
    if ("jobId" in fields) == ("jobIds" in fields):
        raise RequestRejected("cancel", "must have exactly one of jobId, jobIds")
    named = {"jobId": fields["jobId"]} if "jobId" in fields else _numbered(fields["jobIds"])
    ids = tuple(dict.fromkeys(_job_id(field, value, policy) for field, value in named.items()))
    if len(ids) > max_jobs:
        raise RequestRejected(
            "jobIds", f"names {len(ids)} jobs; a run may cancel at most {max_jobs} (MaxJobsPerRun or maxJobs)"
        )
    return ids


def _numbered(value: object) -> dict[str, object]:
    if not isinstance(value, list) or not value:
        raise RequestRejected("jobIds", "must be a list of at least one job id")
    return {f"jobIds[{index}]": item for index, item in enumerate(value)}


def _job_id(field: str, value: object, policy: Policy) -> str:
    if not isinstance(value, str) or not is_job_id(value):
        raise RequestRejected(field, "must be a string of 1 to 64 of the characters a-z A-Z 0-9 _ -")
    if not value.startswith(policy.job_id_prefix):
        raise RequestRejected(field, f"must start with {quoted(policy.job_id_prefix)}, the stack's JobIdPrefix")
    return value


def _force(value: object, policy: Policy) -> bool:
    asked = _flag("force", value, default=policy.force)
    if asked and not policy.force:
        raise RequestRejected("force", "must be false or left out, since the stack's parameter Force is false")
    return asked


def _dry_run(value: object, policy: Policy) -> bool:
    asked = _flag("dryRun", value, default=policy.dry_run)
    if policy.dry_run and not asked:
        raise RequestRejected("dryRun", "must be true or left out, since the stack's parameter DryRun is true")
    return asked


def _flag(field: str, value: object, *, default: bool) -> bool:
    if value is None:
        return default
    if not isinstance(value, bool):
        raise RequestRejected(field, "must be true or false")
    return value


def _max_jobs(value: object, policy: Policy) -> int:
    if value is None:
        return policy.max_jobs
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= policy.max_jobs:
        raise RequestRejected(
            "maxJobs", f"must be a whole number from 1 to {policy.max_jobs}, the stack's MaxJobsPerRun"
        )
    return value


def _reason_code(value: object, attribution: Attribution) -> str:
    if value is None:
        return attribution.reason_code
    if not isinstance(value, str) or _REASON_CODE.fullmatch(value) is None:
        raise RequestRejected("reasonCode", "must be a string of 1 to 128 of the characters A-Z 0-9 _")
    return value


def _comment(value: object, attribution: Attribution) -> str:
    if value is None:
        return "".join(filter(_is_visible, attribution.comment))[:_MAX_COMMENT]
    if not isinstance(value, str) or not 1 <= len(value) <= _MAX_COMMENT or not all(map(_is_visible, value)):
        raise RequestRejected(
            "comment", f"must be a string of 1 to {_MAX_COMMENT} characters, none of them a control character"
        )
    return value


def _is_visible(character: str) -> bool:
    """False for control, format, surrogate, private and unassigned characters: CancelJob forbids all of Unicode's C."""
    return not unicodedata.category(character).startswith("C")
