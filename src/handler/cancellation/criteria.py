"""The criteria by which a request selects jobs that it does not name: their format and limits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from handler.cancellation.job import ACTIVE_STATUSES, JobStatus
from handler.cancellation.validation import quoted, read_object, read_text, read_texts, without_quotes
from handler.errors import RequestRejected

KEYS = (
    "jobIdGlob",
    "excludeJobIdGlobs",
    "status",
    "olderThanHours",
    "ageFrom",
    "targetSelection",
    "thingGroupName",
    "tags",
)
SCOPES = ("jobIdGlob", "thingGroupName", "tags")
OTA_PREFIX = "AFR_OTA-"  # FreeRTOS over-the-air updates are jobs with this prefix. Their own service cancels them.

_GLOB = re.compile(r"[a-zA-Z0-9_*?-]{1,64}")
_THING_GROUP = re.compile(r"[a-zA-Z0-9:_-]{1,128}")  # CreateThingGroup
_MAX_HOURS = 99_999
_MAX_TAGS = 50
_MAX_TAG_KEY_LENGTH = 128
_MAX_TAG_VALUE_LENGTH = 256


@dataclass(frozen=True, slots=True)
class Criteria:
    """A job is selected if it matches all criteria. None and empty criteria match every job."""

    job_id_glob: str | None = None
    exclude_job_id_globs: tuple[str, ...] = ()
    statuses: tuple[JobStatus, ...] = ACTIVE_STATUSES
    older_than_hours: float = 0.0
    age_from: Literal["createdAt", "lastUpdatedAt"] = "createdAt"
    target_selections: tuple[str, ...] = ("SNAPSHOT",)
    thing_group_name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def is_older(self, since: datetime, now: datetime) -> bool:
        """Return True if a time is more than `older_than_hours` ago. Both times are timezone-aware."""
        return not self.older_than_hours or now - since > timedelta(hours=self.older_than_hours)

    def why_too_recent(self, starts_at: str, now: datetime) -> str:
        """Return why a job with this startTime is not old enough, or an empty string.

        The age of a job never counts from before its scheduled start. An unreadable start could be in the future. A
        time without an offset is in UTC (AWS IoT API reference, SchedulingConfig).
        """
        if not starts_at or not self.older_than_hours:
            return ""
        try:
            start = datetime.fromisoformat(starts_at)
            start = start.astimezone(UTC) if start.tzinfo else start.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            return f"its scheduled start {quoted(starts_at)} is not a time"
        if self.is_older(start, now):
            return ""
        if start > now:
            return f"its rollout is scheduled to begin at {start:%Y-%m-%dT%H:%MZ}"
        return f"its rollout began at {start:%Y-%m-%dT%H:%MZ}, not more than {self.older_than_hours:g} h ago"


def parse_criteria(value: object) -> Criteria:
    """Parse the value of `select`. Raises RequestRejected."""
    fields = read_object("select", value, KEYS, path="select.")
    if not any(fields.get(scope) for scope in SCOPES):
        raise RequestRejected("select", "age alone is too broad; must have at least one of ", *SCOPES)
    return Criteria(
        job_id_glob=_glob(fields.get("jobIdGlob")),
        exclude_job_id_globs=_globs(fields.get("excludeJobIdGlobs")),
        statuses=_statuses(fields.get("status")),
        older_than_hours=_hours(fields.get("olderThanHours")),
        age_from=_age_from(fields.get("ageFrom")),
        target_selections=_target_selections(fields.get("targetSelection")),
        thing_group_name=_thing_group(fields.get("thingGroupName")),
        tags=_tags(fields.get("tags")),
    )


def can_match(criteria: Criteria, prefix: str) -> bool:
    """Return True if the glob can match an id that starts with `prefix`."""
    head = re.split(r"[*?]", criteria.job_id_glob or "*")[0]
    return head.startswith(prefix) or prefix.startswith(head)


def check_prefix(criteria: Criteria, prefix: str) -> None:
    """Raise RequestRejected for a glob that no id with this prefix can match: it would never match a job."""
    if not can_match(criteria, prefix):
        raise RequestRejected(
            "select.jobIdGlob", f"must be able to match ids that start with {quoted(prefix)}, the stack's JobIdPrefix"
        )


def check_owner(criteria: Criteria | None) -> None:
    """Raise RequestRejected for a glob that matches only jobs which a selection never takes."""
    if criteria and (criteria.job_id_glob or "").startswith(OTA_PREFIX):
        raise RequestRejected(
            "select.jobIdGlob",
            f"matches only FreeRTOS over-the-air updates ({OTA_PREFIX}*), which a selection never takes; "
            "select other jobs, or name such a job by ",
            "jobId",
        )


_GLOB_ALLOWED = "1 to 64 of the characters a-z A-Z 0-9 _ - and the wildcards * ?"


def _glob(value: object) -> str | None:
    return None if value is None else read_text("select.jobIdGlob", value, _GLOB, _GLOB_ALLOWED)


def _globs(value: object) -> tuple[str, ...]:
    return () if value is None else read_texts("select.excludeJobIdGlobs", value, _GLOB, _GLOB_ALLOWED)


def _statuses(value: object) -> tuple[JobStatus, ...]:
    if value is None:
        return ACTIVE_STATUSES
    statuses = read_texts("select.status", value, re.compile("IN_PROGRESS|SCHEDULED"), "IN_PROGRESS or SCHEDULED")
    return tuple(status for status in ACTIVE_STATUSES if status in statuses)


def _hours(value: object) -> float:
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _MAX_HOURS:
        raise RequestRejected(
            "select.olderThanHours", f"must be a number above 0, and at most {_MAX_HOURS}{without_quotes(value)}"
        )
    return float(value)


def _age_from(value: object) -> Literal["createdAt", "lastUpdatedAt"]:
    match value:
        case None | "createdAt":
            return "createdAt"
        case "lastUpdatedAt":
            return "lastUpdatedAt"
    raise RequestRejected("select.ageFrom", "must be createdAt or lastUpdatedAt")


def _target_selections(value: object) -> tuple[str, ...]:
    if value is None:
        return ("SNAPSHOT",)
    return read_texts("select.targetSelection", value, re.compile("SNAPSHOT|CONTINUOUS"), "SNAPSHOT or CONTINUOUS")


def _thing_group(value: object) -> str | None:
    if value is None:
        return None
    return read_text("select.thingGroupName", value, _THING_GROUP, "1 to 128 of the characters a-z A-Z 0-9 : _ -")


def _tags(value: object) -> Mapping[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not 1 <= len(value) <= _MAX_TAGS:
        raise RequestRejected(
            "select.tags", f'must be an object of 1 to {_MAX_TAGS} tags, each key once, such as {{"env": "dev"}}'
        )
    for key, tag in value.items():
        if not (isinstance(key, str) and 1 <= len(key) <= _MAX_TAG_KEY_LENGTH):
            raise RequestRejected("select.tags", f"keys must be strings of 1 to {_MAX_TAG_KEY_LENGTH} characters")
        if not (isinstance(tag, str) and len(tag) <= _MAX_TAG_VALUE_LENGTH):
            raise RequestRejected(
                "select.tags", f"values must be strings of at most {_MAX_TAG_VALUE_LENGTH} characters"
            )
    return dict(value)
