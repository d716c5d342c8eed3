"""What CloudFormation sends for a custom resource, and the ids that it gets back. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from .errors import RequestRejected
from .properties import read_service_timeout

_FAILED_CREATE = "failed-create"
_SELECTION = "select"
_SIGNED_AT = re.compile(r"[?&]X-Amz-Date=([0-9]{8}T[0-9]{6}Z)")
_RESPONSE_KEYS = ("ResponseURL", "RequestId", "StackId", "LogicalResourceId")


@dataclass(frozen=True, slots=True)
class ResourceRequest:
    """One request of CloudFormation. `physical_id` is None on Create."""

    request_type: Literal["Create", "Update", "Delete"]
    response_url: str = field(repr=False)
    request_id: str
    stack_id: str
    logical_id: str
    physical_id: str | None
    properties: Mapping[str, object]
    old_properties: Mapping[str, object] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """The same for every delivery of this request, and for no other request."""
        return f"{self.stack_id}/{self.logical_id}/{self.request_id}"

    @property
    def selection_id(self) -> str:
        """The id of a resource with Select: the same for life, so that another selection is no other resource."""
        return f"{_SELECTION}:{self._own_name}"

    @property
    def _own_name(self) -> str:
        return f"{self.stack_id.rpartition('/')[2]}/{self.logical_id}"

    @property
    def answer_within(self) -> float:
        """Seconds after which CloudFormation must have its answer: ServiceTimeout, less what may have passed before."""
        timeout = read_service_timeout(self.properties)
        return timeout - min(60.0, timeout / 5)

    @property
    def asked_at(self) -> float | None:
        """When CloudFormation signed the ResponseURL, in seconds since the epoch, as far as that can be read.

        A delivery that was killed leaves no other trace of when the request was made.
        """
        signed = _SIGNED_AT.search(self.response_url)
        try:
            return datetime.strptime(f"{signed[1]}+0000", "%Y%m%dT%H%M%SZ%z").timestamp() if signed else None
        except ValueError:
            return None

    @property
    def fallback_id(self) -> str:
        """The id to answer with where nothing else is known: the resource's own, or the mark of a failed Create."""
        return self.physical_id or f"{_FAILED_CREATE}:{self._own_name}"

    @property
    def continues(self) -> bool:
        """True if the deletion of the stack goes on even if the cancel did not get done."""
        return self.request_type == "Delete" and self.properties.get("OnIncomplete") == "CONTINUE"


def read_resource_request(event: object) -> ResourceRequest:
    """Raises RequestRejected if there is too little to answer with. Bad properties are not looked at here."""
    if not isinstance(event, Mapping):
        raise RequestRejected("event", "must be an object")
    texts = {key: _required_text(event, key) for key in _RESPONSE_KEYS}
    request_type = event["RequestType"]
    if request_type not in ("Create", "Update", "Delete"):
        raise RequestRejected("RequestType", "must be Create, Update or Delete")
    physical_id = event.get("PhysicalResourceId")
    properties, old_properties = event.get("ResourceProperties"), event.get("OldResourceProperties")
    return ResourceRequest(
        request_type=request_type,
        response_url=texts["ResponseURL"],
        request_id=texts["RequestId"],
        stack_id=texts["StackId"],
        logical_id=texts["LogicalResourceId"],
        physical_id=physical_id if isinstance(physical_id, str) and physical_id else None,
        properties=properties if isinstance(properties, Mapping) else {},
        old_properties=old_properties if isinstance(old_properties, Mapping) else {},
    )


def _required_text(event: Mapping[str, object], key: str) -> str:
    value = event.get(key)
    if not isinstance(value, str) or not value:
        raise RequestRejected(key, "must be a string that is not empty")
    return value
