"""Reading what somebody else wrote: a value of the right type, or the field's name and what it allows."""

import re
from collections.abc import Mapping, Sequence

from .errors import RequestRejected

# CancelJob's pattern for a job id, from the service model. botocore sends patterns and greatest lengths unchecked.
_JOB_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MAX_QUOTED = 40


def read_object(field: str, value: object, keys: Sequence[str]) -> Mapping[str, object]:
    """`value` if it is an object with no key but `keys`, and no null in it. Raises RequestRejected."""
    if not isinstance(value, Mapping):
        raise RequestRejected(field, f"must be an object with the keys {', '.join(keys)}")
    unknown = sorted(str(key) for key in value if key not in keys)
    if unknown:
        raise RequestRejected(field, f"unknown key {quoted(unknown[0])}; the keys are {', '.join(keys)}")
    for key, item in value.items():
        if item is None:
            raise RequestRejected(key, "must not be null: leave it out")
    return value


def read_flag(field: str, value: object, *, default: bool) -> bool:
    """`default` for None. Raises RequestRejected."""
    if value is None:
        return default
    if not isinstance(value, bool):
        raise RequestRejected(field, "must be true or false")
    return value


def read_texts(field: str, value: object, pattern: re.Pattern[str], allowed: str) -> tuple[str, ...]:
    """A list of at least one string, each of them matched whole by `pattern`. Raises RequestRejected."""
    if not isinstance(value, list) or not value:
        raise RequestRejected(field, "must be a list of at least one string")
    return tuple(read_text(f"{field}[{index}]", item, pattern, allowed) for index, item in enumerate(value))


def read_text(field: str, value: object, pattern: re.Pattern[str], allowed: str) -> str:
    """A string, matched whole by `pattern`, which `allowed` puts in words. Raises RequestRejected."""
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise RequestRejected(field, f"must be a string of {allowed}")
    return value


def read_job_id(field: str, value: object) -> str:
    """Raises RequestRejected."""
    return read_text(field, value, _JOB_ID, "1 to 64 of the characters a-z A-Z 0-9 _ -")


def is_job_id(value: object) -> bool:
    """True if the service would take `value` as a job id."""
    return isinstance(value, str) and _JOB_ID.fullmatch(value) is not None


def quoted(text: str) -> str:
    """`text` as one short ASCII word in quotes: fit for a log line or a stack event, whoever wrote it."""
    return ascii(text if len(text) <= _MAX_QUOTED else text[:_MAX_QUOTED] + "...")
