"""What CloudFormation sends for a custom resource, and the PhysicalResourceIds that it gets back. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from handler.cloudformation.properties import read_service_timeout
from handler.errors import RequestRejected

_FAILED_CREATE = "failed-create"
_SELECTION = "select"
_SIGNED_AT = re.compile(r"[?&]X-Amz-Date=([0-9]{8}T[0-9]{6}Z)")
_RESPONSE_KEYS = ("ResponseURL", "RequestId", "StackId", "LogicalResourceId")


@dataclass(frozen=True, slots=True)
class CustomResourceRequest:
    """One request of CloudFormation. `physical_id` is None on Create.

    `refusal` says why the request cannot be carried out, whatever it asks for; it is empty if it can.
    """

    request_type: Literal["Create", "Update", "Delete"]
    response_url: str = field(repr=False)
    request_id: str
    stack_id: str
    logical_id: str
    physical_id: str | None
    properties: Mapping[str, object]
    old_properties: Mapping[str, object] = field(default_factory=dict)
    refusal: str = ""

    @property
    def identity(self) -> str:
        """The same for every delivery of this request, and different for any other request."""
        return f"{self.stack_id}/{self.logical_id}/{self.request_id}"

    @property
    def selection_id(self) -> str:
        """The id of a resource with Select: constant for life, so that another selection is not a replacement."""
        return f"{_SELECTION}:{self._stack_uuid_and_logical_id}"

    @property
    def names_selection(self) -> bool:
        """True for the id of a resource with Select, also of another one: stack refactoring keeps the id."""
        return (self.physical_id or "").startswith(f"{_SELECTION}:")

    @property
    def names_failed_create(self) -> bool:
        """True for the marker that a failed Create returned."""
        return (self.physical_id or "").startswith(f"{_FAILED_CREATE}:")

    @property
    def fallback_id(self) -> str:
        """The id for a response where no other id is known: the resource's own, or the marker of a failed Create."""
        return self.physical_id or f"{_FAILED_CREATE}:{self._stack_uuid_and_logical_id}"

    @property
    def _stack_uuid_and_logical_id(self) -> str:
        return f"{self.stack_id.rpartition('/')[2]}/{self.logical_id}"

    @property
    def respond_within_seconds(self) -> float:
        """ServiceTimeout, less the time that may have passed before the first delivery."""
        timeout = read_service_timeout(self.properties)
        return timeout - min(60.0, timeout / 5)

    @property
    def signed_at(self) -> float | None:
        """When CloudFormation signed the ResponseURL, in seconds since the epoch, or None if that is unreadable.

        A delivery that was killed leaves no other trace of the time of the request.
        """
        signed = _SIGNED_AT.search(self.response_url)
        try:
            return datetime.strptime(f"{signed[1]}+0000", "%Y%m%dT%H%M%SZ%z").timestamp() if signed else None
        except ValueError:
            return None

    def is_relayed(self, function_arn: str) -> bool:
        """Return True if CloudFormation called another function, which invoked this one, as CDK's Provider does."""
        called, own = _function_name(self.properties.get("ServiceToken")), _function_name(function_arn)
        return bool(called and own) and called != own

    @property
    def continues_if_incomplete(self) -> bool:
        """True if the stack's deletion proceeds although jobs could not be canceled."""
        return self.request_type == "Delete" and self.properties.get("OnIncomplete") == "CONTINUE"


def parse_custom_resource_request(payload: Mapping[str, object]) -> CustomResourceRequest:
    """Raise RequestRejected if a response is impossible. The properties are not validated here."""
    texts = {key: _required_text(payload, key) for key in _RESPONSE_KEYS}
    request_type = payload["RequestType"]
    if request_type not in ("Create", "Update", "Delete"):
        raise RequestRejected("RequestType", "must be Create, Update or Delete")
    physical_id = payload.get("PhysicalResourceId")
    properties, old_properties = payload.get("ResourceProperties"), payload.get("OldResourceProperties")
    return CustomResourceRequest(
        request_type=request_type,
        response_url=texts["ResponseURL"],
        request_id=texts["RequestId"],
        stack_id=texts["StackId"],
        logical_id=texts["LogicalResourceId"],
        physical_id=physical_id if isinstance(physical_id, str) and physical_id else None,
        properties=properties if isinstance(properties, Mapping) else {},
        old_properties=old_properties if isinstance(old_properties, Mapping) else {},
    )


def _function_name(arn: object) -> str | None:
    """Return the name in the ARN of a Lambda function, of its version or of its alias; None for any other value."""
    match arn.split(":") if isinstance(arn, str) else []:
        case [_, _, "lambda", _, _, "function", name, *_]:
            return name
    return None


def _required_text(payload: Mapping[str, object], key: str) -> str:
    value = payload.get(key)
    if not isinstance(value, str) or not value:
        raise RequestRejected(key, "must be a string that is not empty")
    return value
