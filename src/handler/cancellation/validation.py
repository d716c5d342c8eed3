"""Read single values of a request: a value of the right type, or an error with the field's name and what it allows."""

import re
from collections.abc import Mapping, Sequence

from handler.errors import RequestRejected

# CancelJob's pattern for a job id, from the service model. botocore checks no pattern and no maximum length.
_JOB_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MAX_QUOTED_LENGTH = 40
# What cloudformation/properties.py reads: in a template, these values are strings.
_QUOTED_FLAG = re.compile("true|false", re.IGNORECASE)
_QUOTED_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


def read_object(field: str, value: object, keys: Sequence[str], path: str = "") -> Mapping[str, object]:
    """Return `value` if it is an object with no other keys than `keys`, and no null or empty string.

    Raises RequestRejected.

    `path` precedes each key in the name of its field.
    """
    if not isinstance(value, Mapping):
        raise RequestRejected(field, "must be an object with the keys ", *keys)
    unknown = sorted(str(key) for key in value if key not in keys)
    if unknown:
        similar = most_similar(unknown[0], keys)
        hint, named = ("did you mean ", (similar,)) if similar else ("the keys are ", keys)
        raise RequestRejected(field, f"unknown key {quoted(unknown[0])}; {hint}", *named)
    for key, item in value.items():
        if item is None:
            raise RequestRejected(f"{path}{key}", "must not be null")
        if item == "":
            raise RequestRejected(f"{path}{key}", "must not be empty: set a value, or omit it")
    return value


def most_similar(name: str, known: Sequence[str]) -> str | None:
    """Return the known name that differs from `name` by case or by a few letters, or None."""
    from difflib import get_close_matches  # noqa: PLC0415 - only misspelled names need it

    by_lower_case = {each.lower(): each for each in known}
    word = name.rpartition(".")[2][:_MAX_QUOTED_LENGTH].lower()
    return next((by_lower_case[each] for each in get_close_matches(word, by_lower_case, cutoff=0.8)), None)


def read_flag(field: str, value: object, *, default: bool) -> bool:
    """Return a boolean, or `default` for None. Raises RequestRejected."""
    if value is None:
        return default
    if not isinstance(value, bool):
        raise RequestRejected(field, f"must be true or false{without_quotes(value, _QUOTED_FLAG)}")
    return value


def without_quotes(value: object, pattern: re.Pattern[str] = _QUOTED_NUMBER) -> str:
    """Return the end of a rejection: a hint if `value` is a number in quotes, else an empty string."""
    return ", without quotes" if isinstance(value, str) and pattern.fullmatch(value) else ""


def read_texts(field: str, value: object, pattern: re.Pattern[str], allowed: str) -> tuple[str, ...]:
    """Return a list of at least one string, each matched in full by `pattern`. Raises RequestRejected."""
    if not isinstance(value, list) or not value:
        raise RequestRejected(field, "must be a list of at least one string")
    return tuple(read_text(f"{field}[{index}]", item, pattern, allowed) for index, item in enumerate(value))


def read_text(field: str, value: object, pattern: re.Pattern[str], allowed: str) -> str:
    """Return a string matched in full by `pattern`, which `allowed` describes. Raises RequestRejected."""
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise RequestRejected(field, f"must be a string of {allowed}")
    return value


def read_job_id(field: str, value: object) -> str:
    """Return a job id. Raises RequestRejected."""
    return read_text(field, value, _JOB_ID, "1 to 64 of the characters a-z A-Z 0-9 _ -")


def is_job_id(value: object) -> bool:
    """Return True if the service would accept `value` as a job id."""
    return isinstance(value, str) and _JOB_ID.fullmatch(value) is not None


def quoted(text: str) -> str:
    """Return `text` as one short ASCII word in quotes, safe in a log line and in a stack event."""
    return ascii(text if len(text) <= _MAX_QUOTED_LENGTH else text[:_MAX_QUOTED_LENGTH] + "...")
