"""The custom resource request: how it is parsed, its PhysicalResourceIds, and when its response is due."""

from dataclasses import replace
from typing import Any

import pytest

from handler.cancellation.validation import is_job_id
from handler.cloudformation.request import CustomResourceRequest, parse_custom_resource_request
from handler.errors import RequestRejected
from tools.simulators.events import FAILED_CREATE_ID, SELECTION_ID, STACK_ID, delete_request

URL = "https://bucket.s3.eu-west-1.amazonaws.com/path?X-Amz-Signature=secret"

DELETE = CustomResourceRequest("Delete", URL, "request-1", STACK_ID, "Teardown", "job-1", {"JobId": "job-1"})
CREATE = replace(DELETE, request_type="Create", physical_id=None)


def payload(**changes: object) -> dict[str, object]:
    return delete_request("job-1", URL, {"JobId": "job-1"}) | {"ResourceProperties": {"JobId": "job-1"}} | changes


def test_a_request_is_parsed() -> None:
    assert parse_custom_resource_request(payload()) == DELETE


def test_a_create_has_no_physical_id() -> None:
    event = {key: value for key, value in payload(RequestType="Create").items() if key != "PhysicalResourceId"}
    assert parse_custom_resource_request(event) == CREATE


@pytest.mark.parametrize("physical_id", [None, "", 5, ["job-1"]])
def test_a_physical_id_that_is_not_text_is_none(physical_id: object) -> None:
    assert parse_custom_resource_request(payload(PhysicalResourceId=physical_id)).physical_id is None


@pytest.mark.parametrize("properties", [None, "JobId", ["JobId"], 5])
def test_properties_that_are_not_an_object_are_empty(properties: object) -> None:
    assert parse_custom_resource_request(payload(ResourceProperties=properties)).properties == {}


@pytest.mark.parametrize(
    ("old", "parsed"), [({"JobId": "job-0"}, {"JobId": "job-0"}), (None, {}), ("JobId", {}), (["JobId"], {})]
)
def test_the_old_properties_of_an_update_are_parsed(old: object, parsed: dict[str, str]) -> None:
    resource = parse_custom_resource_request(payload(RequestType="Update", OldResourceProperties=old))
    assert resource.old_properties == parsed


@pytest.mark.parametrize("key", ["ResponseURL", "RequestId", "StackId", "LogicalResourceId"])
@pytest.mark.parametrize("value", [None, "", 5, ["x"]])
def test_a_request_that_cannot_be_responded_to_is_rejected(key: str, value: object) -> None:
    with pytest.raises(RequestRejected) as caught:
        parse_custom_resource_request(payload(**{key: value}))
    assert str(caught.value) == f"{key}: must be a string that is not empty"


@pytest.mark.parametrize("value", ["delete", "", None, 5, ["Delete"], "Read"])
def test_an_unknown_request_type_is_rejected(value: object) -> None:
    with pytest.raises(RequestRejected) as caught:
        parse_custom_resource_request(payload(RequestType=value))
    assert str(caught.value) == "RequestType: must be Create, Update or Delete"


def test_the_repr_does_not_contain_the_response_url() -> None:
    assert "X-Amz-Signature" not in repr(DELETE)


@pytest.mark.parametrize(
    ("request_type", "on_incomplete", "continues"),
    [
        ("Delete", "CONTINUE", True),
        ("Delete", "FAIL", False),
        ("Delete", None, False),
        ("Delete", "continue", False),
        ("Create", "CONTINUE", False),
        ("Update", "CONTINUE", False),
    ],
)
def test_only_a_delete_continues_if_incomplete(
    request_type: Any,
    on_incomplete: object,
    continues: bool,
) -> None:
    resource = replace(DELETE, request_type=request_type, properties={"OnIncomplete": on_incomplete})
    assert resource.continues_if_incomplete is continues


# Ids


def test_the_fallback_id_is_the_physical_id_or_marks_a_failed_create() -> None:
    other = replace(CREATE, stack_id=STACK_ID.replace("5f3a9c10", "00000000"))
    assert CREATE.fallback_id == FAILED_CREATE_ID
    assert not is_job_id(FAILED_CREATE_ID)
    assert other.fallback_id == "failed-create:00000000-c4f2-11f0-9c1a-0a1b2c3d4e5f/Teardown"
    assert DELETE.fallback_id == "job-1"


@pytest.mark.parametrize("properties", [{}, {"Select": {"JobIdGlob": "a*"}}, {"Select": {"JobIdGlob": "b*"}}])
@pytest.mark.parametrize("resource", [CREATE, DELETE])
def test_the_selection_id_depends_only_on_the_stack_and_the_logical_id(
    resource: CustomResourceRequest, properties: dict[str, object]
) -> None:
    assert replace(resource, properties=properties).selection_id == SELECTION_ID


# When the response is due: ServiceTimeout, less a fifth of it, which is at most 60 s


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [
        ("900", 840),
        (900, 840),
        ("300", 240),
        ("299", 239.2),
        ("60", 48),
        ("1", 0.8),
        ("3600", 3540),
        (None, 3540),
        ("", 3540),
        ("soon", 3540),
        ("-5", 3540),
        ("9999999999", 3540),
        ("0", 3540),
        ("3601", 3540),
        (0, 3540),
        (-5, 3540),
        (10**400, 3540),
        (True, 3540),
        (["900"], 3540),
    ],
)
def test_the_response_is_due_before_the_service_timeout(timeout: object, seconds: float) -> None:
    properties = {} if timeout is None else {"ServiceTimeout": timeout}
    assert replace(DELETE, properties=properties).respond_within_seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({}, True),
        # A request may be redelivered with another URL.
        ({"response_url": "https://bucket.s3.amazonaws.com/another"}, True),
        ({"physical_id": "job-2", "properties": {}, "request_type": "Create"}, True),
        ({"request_id": "request-2"}, False),
        ({"logical_id": "Another"}, False),
        ({"stack_id": f"{STACK_ID}0"}, False),
    ],
)
def test_the_identity_consists_of_stack_logical_id_and_request_id(changes: dict[str, Any], is_same: bool) -> None:
    assert DELETE.identity == f"{STACK_ID}/Teardown/request-1"
    assert (replace(DELETE, **changes).identity == f"{STACK_ID}/Teardown/request-1") is is_same


@pytest.mark.parametrize(
    ("query", "signed_at"),
    [
        ("?X-Amz-Date=20261124T120000Z", 1795521600.0),
        ("?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20261124T115930Z&X-Amz-Expires=7199", 1795521570.0),
        ("", None),
        ("?AWSAccessKeyId=a&Expires=1795530000&Signature=b", None),
        ("?X-Amz-Date=", None),
        ("?X-Amz-Date=20261324T120000Z", None),
        ("?X-Amz-Date=20261124T126100Z", None),
        ("?X-Amz-Date=20261124T120000", None),
        ("?x-X-Amz-Date=20261124T120000Z", None),
    ],
)
def test_the_time_of_the_request_is_read_from_its_signature(query: str, signed_at: float | None) -> None:
    """2026-11-24 12:00:00 UTC is 1795521600."""
    assert replace(DELETE, response_url=f"https://bucket.s3.amazonaws.com/path{query}").signed_at == signed_at


# The forms of the PhysicalResourceId


@pytest.mark.parametrize(
    ("physical_id", "selection", "failed_create"),
    [
        (SELECTION_ID, True, False),
        ("select:another-stack/Other", True, False),
        (FAILED_CREATE_ID, False, True),
        ("failed-create:another-stack/Other", False, True),
        ("select", False, False),
        ("failed-create", False, False),
        ("job-1", False, False),
        (None, False, False),
    ],
)
def test_the_form_of_a_physical_id_says_what_it_names(
    physical_id: str | None, selection: bool, failed_create: bool
) -> None:
    resource = replace(DELETE, physical_id=physical_id)
    assert (resource.names_selection, resource.names_failed_create) == (selection, failed_create)


# A request that another function relays

OWN = "arn:aws:lambda:eu-west-1:123456789012:function:canceler"


@pytest.mark.parametrize(
    ("service_token", "function_arn", "is_relayed"),
    [
        (OWN, OWN, False),
        (f"{OWN}:live", OWN, False),
        (OWN, f"{OWN}:7", False),
        (f"{OWN}-framework", OWN, True),
        (f"{OWN}-framework:live", OWN, True),
        ("arn:aws:sns:eu-west-1:123456789012:canceler", OWN, False),
        ("arn:aws:lambda:eu-west-1:123456789012:layer:framework", OWN, False),
        ("arn:aws:states:eu-west-1:123456789012:function:framework", OWN, False),
        ("arn:aws:lambda:eu-west-1:123456789012:function:", OWN, False),
        ("arn", OWN, False),
        ("", OWN, False),
        (None, OWN, False),
        ([OWN], OWN, False),
        (f"{OWN}-framework", "", False),
    ],
)
def test_a_request_to_another_function_is_relayed(service_token: object, function_arn: str, is_relayed: bool) -> None:
    properties = {"JobId": "job-1"} | ({} if service_token is None else {"ServiceToken": service_token})
    assert replace(DELETE, properties=properties).is_relayed(function_arn) is is_relayed


def test_a_request_is_not_refused_by_itself() -> None:
    assert DELETE.refusal == ""
