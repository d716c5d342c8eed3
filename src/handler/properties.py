"""The properties of Custom::IoTJobCancellation, read as a request. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from .errors import RequestRejected
from .request import Attribution, CancelRequest, Policy, parse_request, quoted

type Properties = Mapping[str, object]

# What may stand among the properties, and the key of a request that each one becomes.
_REQUEST_KEYS = {
    "JobId": "jobId",
    "Force": "force",
    "DryRun": "dryRun",
    "MaxJobs": "maxJobs",
    "ReasonCode": "reasonCode",
    "Comment": "comment",
}
_OWN_KEYS = ("ServiceToken", "ServiceTimeout", "OnIncomplete")
# What a flag is taken for on Delete, if it can't be read or asks for more than the stack allows now.
_SAFE = {"force": False, "dryRun": True}


def read_strictly(properties: Properties, policy: Policy, attribution: Attribution) -> CancelRequest:
    """For Create and Update. Raises RequestRejected, which names the property and what it allows."""
    known = (*_REQUEST_KEYS, *_OWN_KEYS)
    for key in sorted(map(str, properties)):
        if key not in known:
            raise RequestRejected(quoted(key), f"unknown property; the properties are {', '.join(known)}")
    if "JobId" not in properties:
        raise RequestRejected("JobId", "must be given")
    if properties.get("OnIncomplete", "FAIL") not in ("FAIL", "CONTINUE"):
        raise RequestRejected("OnIncomplete", "must be FAIL or CONTINUE")
    try:
        return parse_request(_document(properties), policy, attribution)
    except RequestRejected as rejection:
        raise RequestRejected(_property_of(rejection.field), rejection.allowed) from rejection


def read_leniently(
    job_id: str, properties: Properties, policy: Policy, attribution: Attribution
) -> tuple[CancelRequest, tuple[str, ...]]:
    """For Delete: the request without the properties that can't be read, and what was left out of it.

    The prefix is not asked here: the job may be gone or finished, and then there is nothing to refuse.
    """
    anywhere = replace(policy, job_id_prefix="")
    document: dict[str, object] = {"jobId": job_id}
    warnings = []
    for key, value in _document(properties).items():
        if key == "jobId":  # the PhysicalResourceId names the job
            continue
        try:
            parse_request({"jobId": job_id, key: value}, anywhere, attribution)
            document[key] = value
        except RequestRejected as rejection:
            warnings.append(f"left out {_property_of(rejection.field)}: {rejection.allowed}")
            if key in _SAFE:
                document[key] = _SAFE[key]
    return parse_request(document, anywhere, attribution), tuple(warnings)


def _document(properties: Mapping[str, object]) -> dict[str, object]:
    """The properties as a request. CloudFormation hands every scalar over as a string."""
    typed: dict[str, Callable[[object], object]] = {"Force": _flag, "DryRun": _flag, "MaxJobs": _number}
    return {
        key: typed.get(name, _as_it_is)(properties[name]) for name, key in _REQUEST_KEYS.items() if name in properties
    }


def _as_it_is(value: object) -> object:
    return value


def _flag(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _number(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10 else value  # noqa: PLR2004


def _property_of(key: str) -> str:
    return next((name for name, request_key in _REQUEST_KEYS.items() if request_key == key), key)
