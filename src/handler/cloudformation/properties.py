"""Read the properties of Custom::IoTJobCancellation as a request. Pure.

A property is the request key of the same name, with its first letter in upper case. CloudFormation passes every scalar
as a string; a value that cannot be read stays as it is, so that the parser of requests rejects it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from handler.cancellation import criteria
from handler.cancellation import request as cancel_request
from handler.cancellation.request import (
    NO_PLAN,
    SCOPES,
    CancelReason,
    CancelRequest,
    StackLimits,
    parse_leniently,
    parse_request,
    warning_of,
)
from handler.cancellation.validation import most_similar, quoted
from handler.errors import RequestRejected

type Properties = Mapping[str, object]

_MAX_DIGITS = 9  # int() is slow for long text
_SCOPES = ("JobId", "Select")
_LIFECYCLE_PROPERTIES = ("ServiceToken", "ServiceTimeout", "OnIncomplete")
_TIMES = ("WaitForExecutionsMinutes", "ServiceTimeout")
_DEFAULT_SERVICE_TIMEOUT_SECONDS = 3600  # CloudFormation's default and maximum
_MIN_SERVICE_TIMEOUT_SECONDS = 30  # with less, there is no time for a call that may fail once
_MIN_SECONDS_BESIDE_WAIT = 120  # of ServiceTimeout: to cancel, to poll once more, and to respond in time
_MAX_JOBS_PER_RUN = 25_000  # the greatest value of the stack's parameter


def _flag(value: object) -> object:
    """Read a flag. Python, Jinja and YAML 1.1 write True, False, TRUE and FALSE."""
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value


def _whole_number(value: object) -> object:
    number = _decimal_number(value)
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _decimal_number(value: object) -> object:
    if not isinstance(value, str):
        return value
    whole, _, fraction = value.partition(".")
    return float(f"{whole}.{fraction or 0}") if _is_digits(whole) and _is_digits(fraction or "0") else value


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


def _tags(value: object) -> object:
    """Read tags, also from the list of Key and Value that most types of CloudFormation have. A list stays as it is if
    a key is repeated.
    """
    tags: dict[str, object] = {}
    for item in value if isinstance(value, list) else []:
        match item:
            case {"Key": str(key), "Value": tag, **others} if not others and key not in tags:
                tags[key] = tag
            case _:
                return value
    return tags or value


def _select(value: object) -> object:
    """Return Select with the keys of a request. An unknown key stays, with its path, for the parser to reject.

    CONTINUOUS jobs are selected too, unless TargetSelection says otherwise: what they belong to is deleted.
    """
    if not isinstance(value, Mapping):
        return value
    criteria = {_SELECT_KEYS.get(name, f"Select.{name}"): _read(name, item) for name, item in value.items()}
    return {"targetSelection": ["SNAPSHOT", "CONTINUOUS"], **criteria}


_READERS: dict[str, Callable[[object], object]] = {
    "Select": _select,
    "Force": _flag,
    "DryRun": _flag,
    "MaxJobs": _whole_number,
    "WaitForExecutionsMinutes": _whole_number,
    "OlderThanHours": _decimal_number,
    "Tags": _tags,
}


def _read(name: str, value: object) -> object:
    return _READERS[name](value) if name in _READERS else value


def _by_property(keys: tuple[str, ...]) -> dict[str, str]:
    return {key[0].upper() + key[1:]: key for key in keys}


_SELECT_KEYS = _by_property(criteria.KEYS)
_REQUEST_KEYS = _by_property(tuple(key for key in cancel_request.KEYS if key not in ("jobIds", "planId")))


def read_strictly(properties: Properties, limits: StackLimits, reason: CancelReason) -> CancelRequest:
    """Read the properties of a Create. Raises RequestRejected: the property, and what it allows.

    A glob that can match no job of this stack is rejected too.
    """
    request = _read_form(properties, limits, reason)
    if request.criteria:
        try:
            criteria.check_prefix(request.criteria, limits.job_id_prefix)
            criteria.check_owner(request.criteria)
        except RequestRejected as rejection:
            raise rejection.in_template_spelling() from rejection
    return request


def _read_form(properties: Properties, limits: StackLimits, reason: CancelReason) -> CancelRequest:
    known = (*_REQUEST_KEYS, *_LIFECYCLE_PROPERTIES)
    for name in sorted(map(str, properties)):
        if name == "PlanId":
            raise RequestRejected(name, f"must be omitted: {NO_PLAN}")
        if name not in known:
            similar = most_similar(name, known)
            hint = f"did you mean {similar}" if similar else f"the properties are {', '.join(known)}"
            raise RequestRejected(quoted(name), f"unknown property; {hint}")
    _check_empty(properties)
    if ("JobId" in properties) == ("Select" in properties):
        raise RequestRejected("JobId, Select", "exactly one of them must be given")
    if properties.get("OnIncomplete", "FAIL") not in ("FAIL", "CONTINUE"):
        raise RequestRejected("OnIncomplete", "must be FAIL or CONTINUE")
    try:
        request = parse_request(_document(properties), limits, reason)
    except RequestRejected as rejection:
        raise rejection.in_template_spelling() from rejection
    _check_times(request, properties)
    return request


def _check_empty(properties: Properties) -> None:
    """An optional parameter of a template is often empty by default, and so is the property that references it."""
    select = properties.get("Select")
    nested = {f"Select.{name}": value for name, value in select.items()} if isinstance(select, Mapping) else {}
    for name, value in {**properties, **nested}.items():
        if value == "":
            raise RequestRejected(name, "must not be empty: set a value, omit it, or use AWS::NoValue")


def _check_times(request: CancelRequest, properties: Properties) -> None:
    """The response is sent within ServiceTimeout in any case, so a longer wait would never be completed."""
    timeout = read_service_timeout(properties)
    if timeout < _MIN_SERVICE_TIMEOUT_SECONDS:
        raise RequestRejected("ServiceTimeout", f"must be at least {_MIN_SERVICE_TIMEOUT_SECONDS} (seconds)")
    if request.wait_minutes and request.wait_minutes * 60 + _MIN_SECONDS_BESIDE_WAIT > timeout:
        raise RequestRejected(
            "WaitForExecutionsMinutes",
            f"must be at most {max(0, (timeout - _MIN_SECONDS_BESIDE_WAIT) // 60)} minutes: "
            f"the wait must end {_MIN_SECONDS_BESIDE_WAIT} s before ServiceTimeout ({timeout} s)",
        )


def read_changes(
    properties: Properties, old_properties: Properties, limits: StackLimits, reason: CancelReason
) -> tuple[CancelRequest, tuple[str, ...]]:
    """Read the properties of an Update as a Delete will. Returns the request, and warnings.

    Raises RequestRejected for a changed property that no stack would accept. What the parameters of this stack forbid
    is only a warning: they may have become stricter since, and a rollback is an Update with the earlier properties.
    """
    scope = {name: properties[name] for name in _SCOPES if name in properties}
    changed = {name: value for name, value in properties.items() if value != old_properties.get(name)}
    if changed.keys() & set(_TIMES):
        changed |= {name: properties[name] for name in _TIMES if name in properties}  # validated as a pair
    any_prefix = replace(limits, job_id_prefix="")
    widest_limits = replace(any_prefix, force=True, dry_run=False, max_jobs=_MAX_JOBS_PER_RUN)
    try:
        _read_form(scope | changed, widest_limits, reason)
    except RequestRejected as rejection:
        if rejection.field == "MaxJobs":  # the reason must name the limit of this stack
            _read_form(scope | {"MaxJobs": properties["MaxJobs"]}, any_prefix, reason)
        raise
    request, warnings = read_leniently(_document(scope), properties, limits, reason)
    try:
        read_strictly(scope, limits, reason)
    except RequestRejected as rejection:
        warnings = (*warnings, f"{rejection}; the update is accepted, but a deletion cannot cancel such a job")
    return request, warnings


def read_leniently(
    scope: Mapping[str, object], properties: Properties, limits: StackLimits, reason: CancelReason
) -> tuple[CancelRequest, tuple[str, ...]]:
    """Read the properties of a Delete. Returns the request without those that cannot be read, and warnings on them.

    `scope` says which jobs. A named job need not have the prefix: it may be gone or finished, and then there is nothing
    to refuse. Raises RequestRejected for `scope` alone.
    """
    options = {key: value for key, value in _document(properties).items() if key not in SCOPES}
    request, ignored = parse_leniently({**scope, **options}, limits, reason)
    return request, tuple(warning_of(each.in_template_spelling()) for each in ignored)


def read_selection(properties: Properties) -> object:
    """Return the value of Select as the value of `select` in a request."""
    return _select(properties.get("Select"))


def read_service_timeout(properties: Properties) -> int:
    """Return seconds. CloudFormation has validated the property; one that cannot be read counts as omitted."""
    value = _whole_number(properties.get("ServiceTimeout"))
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _DEFAULT_SERVICE_TIMEOUT_SECONDS:
        return value
    return _DEFAULT_SERVICE_TIMEOUT_SECONDS


def _document(properties: Properties) -> dict[str, object]:
    return {key: _read(name, properties[name]) for name, key in _REQUEST_KEYS.items() if name in properties}
