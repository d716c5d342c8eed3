"""The properties of Custom::IoTJobCancellation, read as a request. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from .errors import RequestRejected
from .fields import quoted
from .request import Attribution, CancelRequest, Policy, parse_request

type Properties = Mapping[str, object]
type _Reader = Callable[[object], object]


# CloudFormation hands every scalar over as a string. What can't be read stays as it is, for the parser to reject.
def _as_it_is(value: object) -> object:
    return value


def _flag(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _whole(value: object) -> object:
    return int(value) if isinstance(value, str) and _is_digits(value) else value


def _hours(value: object) -> object:
    if not isinstance(value, str):
        return value
    whole, _, part = value.partition(".")
    return float(f"{whole}.{part or 0}") if _is_digits(whole) and _is_digits(part or "0") else value


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


def _select(value: object) -> object:
    """The keys of Select in a request's own spelling. A key that is not known stays, for the parser to reject."""
    if not isinstance(value, Mapping):
        return value
    keys = _SELECT_KEYS | {key: (f"Select.{key}", _as_it_is) for key in value if key not in _SELECT_KEYS}
    return {keys[key][0]: keys[key][1](item) for key, item in value.items()}


_MAX_DIGITS = 9
_SELECT_KEYS: dict[str, tuple[str, _Reader]] = {
    "JobIdGlob": ("jobIdGlob", _as_it_is),
    "ExcludeJobIdGlobs": ("excludeJobIdGlobs", _as_it_is),
    "Status": ("status", _as_it_is),
    "OlderThanHours": ("olderThanHours", _hours),
    "AgeFrom": ("ageFrom", _as_it_is),
    "TargetSelection": ("targetSelection", _as_it_is),
    "ThingGroupName": ("thingGroupName", _as_it_is),
    "Tags": ("tags", _as_it_is),
}
# What may stand among the properties, and the key of a request that each one becomes.
_REQUEST_KEYS: dict[str, tuple[str, _Reader]] = {
    "JobId": ("jobId", _as_it_is),
    "Select": ("select", _select),
    "Force": ("force", _flag),
    "DryRun": ("dryRun", _flag),
    "MaxJobs": ("maxJobs", _whole),
    "ReasonCode": ("reasonCode", _as_it_is),
    "Comment": ("comment", _as_it_is),
    "WaitForExecutionsMinutes": ("waitForExecutionsMinutes", _whole),
}
_OWN_KEYS = ("ServiceToken", "ServiceTimeout", "OnIncomplete")
_NAMES = {key: name for name, (key, _) in (_REQUEST_KEYS | _SELECT_KEYS).items()}
_WAIT = ("WaitForExecutionsMinutes", "ServiceTimeout")
# What a flag is taken for on Delete, if it can't be read or asks for more than the stack allows now.
_SAFE = {"force": False, "dryRun": True}
_DEFAULT_SERVICE_TIMEOUT = 3600  # seconds, CloudFormation's own, and the most that it takes
_LEAST_SERVICE_TIMEOUT = 30  # seconds: with less, there is no time for a call that may fail once
_BESIDE_THE_WAIT = 120  # seconds of ServiceTimeout: to cancel, to look once more, and to answer in time


def read_strictly(properties: Properties, policy: Policy, attribution: Attribution) -> CancelRequest:
    """For Create and Update. Raises RequestRejected, which names the property and what it allows."""
    known = (*_REQUEST_KEYS, *_OWN_KEYS)
    for key in sorted(map(str, properties)):
        if key not in known:
            raise RequestRejected(quoted(key), f"unknown property; the properties are {', '.join(known)}")
    if ("JobId" in properties) == ("Select" in properties):
        raise RequestRejected("JobId, Select", "exactly one of them must be given")
    if properties.get("OnIncomplete", "FAIL") not in ("FAIL", "CONTINUE"):
        raise RequestRejected("OnIncomplete", "must be FAIL or CONTINUE")
    try:
        request = parse_request(_document(properties), policy, attribution)
    except RequestRejected as rejection:
        raise _renamed(rejection) from rejection
    _check_times(request, properties)
    return request


def _check_times(request: CancelRequest, properties: Properties) -> None:
    """The answer goes out within ServiceTimeout, come what may: a wait that is longer would never be seen through."""
    timeout = read_service_timeout(properties)
    if timeout < _LEAST_SERVICE_TIMEOUT:
        raise RequestRejected("ServiceTimeout", f"must be at least {_LEAST_SERVICE_TIMEOUT} (seconds)")
    if request.wait_minutes and request.wait_minutes * 60 + _BESIDE_THE_WAIT > timeout:
        raise RequestRejected(
            "WaitForExecutionsMinutes",
            f"must end {_BESIDE_THE_WAIT} s before the ServiceTimeout of {timeout} s: "
            f"at most {max(0, (timeout - _BESIDE_THE_WAIT) // 60)}",
        )


def read_changes(
    properties: Properties, old: Properties, policy: Policy, attribution: Attribution
) -> tuple[CancelRequest, tuple[str, ...]]:
    """For Update: what has changed is read strictly, and the rest as it will be on Delete.

    The stack's parameters may have become stricter since; an Update of something else, or its roll-back, must not fail
    on that. Raises RequestRejected.
    """
    which = {name: properties[name] for name in ("JobId", "Select") if name in properties}
    changed = {name: value for name, value in properties.items() if value != old.get(name)}
    if changed.keys() & set(_WAIT):
        changed |= {name: properties[name] for name in _WAIT if name in properties}  # judged as a pair
    at_once = policy if "JobId" in changed else replace(policy, job_id_prefix="")
    read_strictly(which | changed, at_once, attribution)
    return read_leniently(_document(which), properties, policy, attribution)


def read_leniently(
    which: Mapping[str, object], properties: Properties, policy: Policy, attribution: Attribution
) -> tuple[CancelRequest, tuple[str, ...]]:
    """For Delete: the request without the properties that can't be read, and what was left out of it.

    `which` says which jobs. The prefix is not asked of a job that is named: it may be gone or finished, and then there
    is nothing to refuse. Raises RequestRejected for `which` alone.
    """
    anywhere = replace(policy, job_id_prefix="")
    document = dict(which)
    warnings = []
    for key, value in _document(properties).items():
        if key in ("jobId", "select"):
            continue
        try:
            parse_request({**which, key: value}, anywhere, attribution)
            document[key] = value
        except RequestRejected as rejection:
            warnings.append(f"left out {_renamed(rejection)}")
            if key in _SAFE:
                document[key] = _SAFE[key]
    return parse_request(document, anywhere, attribution), tuple(warnings)


def read_selection(properties: Properties) -> object:
    """The value of Select as that of `select`."""
    return _select(properties.get("Select"))


def read_service_timeout(properties: Properties) -> int:
    """Seconds. CloudFormation has checked the property; one that can't be read counts as left out."""
    value = _whole(properties.get("ServiceTimeout"))
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _DEFAULT_SERVICE_TIMEOUT:
        return value
    return _DEFAULT_SERVICE_TIMEOUT


def _document(properties: Properties) -> dict[str, object]:
    return {key: read(properties[name]) for name, (key, read) in _REQUEST_KEYS.items() if name in properties}


def _renamed(rejection: RequestRejected) -> RequestRejected:
    """The same for somebody who writes a template: `select.jobIdGlob` is Select.JobIdGlob there."""
    field = ".".join(_NAMES.get(key, key) for key in rejection.field.split("."))
    return RequestRejected(field, rejection.allowed)
