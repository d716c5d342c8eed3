"""The function with an invalid environment: CloudFormation gets its response at once, and every other event fails."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import pytest

from handler.app import lambda_handler, wire
from handler.cloudformation.response import Responder
from handler.config import Config
from handler.errors import InvalidConfiguration, ResponseUndelivered, TeardownFailed
from handler.misconfigured import Misconfigured
from tests.conftest import Log
from tests.support.contract import ENVIRONMENT
from tests.support.fakes import FakeClock, FakeContext
from tests.support.response_url import FakePool, ResponseUrl
from tests.support.sqs import FakeSqs
from tools.simulators.events import FAILED_CREATE_ID, custom_resource_request, sqs_event

FORCE = "environment variable FORCE: must be true, false or TEARDOWN"
REASON = (
    f"{FORCE}; the function is misconfigured, and this attempt canceled nothing. Set the variable to a valid value, "
    "then repeat the operation"
)
LOG_LOCATION = " (log group /aws/lambda/canceler, correlation_id request-1)"
BROKEN = ENVIRONMENT | {"FORCE": "yes", "BACKLOG_QUEUE_URL": FakeSqs.url, "TEARDOWN_QUEUE_URL": FakeSqs.teardown_url}


class Canceler:
    """The function with an environment that cannot be read, on a fake clock."""

    def __init__(self, server: ResponseUrl, responder: Responder, log: Log, clock: FakeClock) -> None:
        self.server, self._responder, self.log, self._clock = server, responder, log, clock

    def request(self, kind: str, physical_id: str | None = None, **properties: str) -> dict[str, Any]:
        url = f"{self.server.url}/response?X-Amz-Signature=secret"
        return custom_resource_request(kind, physical_id, url, {"JobId": "job-1", **properties})

    def __call__(self, event: object, **environment: str | None) -> dict[str, Any]:
        """Invoke the function. A variable that is None is not set."""
        given = BROKEN | {"AWS_ENDPOINT_URL": self.server.url} | environment
        env = {name: value for name, value in given.items() if value is not None}
        with pytest.raises(InvalidConfiguration) as caught:
            Config.from_env(env)
        services = Misconfigured(caught.value, env, self._responder, self.log.telemetry, self._clock, lambda: 0.0)
        return lambda_handler(event, FakeContext(self._clock), services)

    @property
    def responses(self) -> list[tuple[str, str, str]]:
        return [(each["Status"], each["PhysicalResourceId"], each["Reason"]) for each in self.server.responses]


@pytest.fixture
def canceler(server: ResponseUrl, responder: Responder, log: Log, clock: FakeClock) -> Canceler:
    return Canceler(server, responder, log, clock)


@pytest.mark.parametrize(("kind", "physical_id"), [("Create", None), ("Update", "job-1"), ("Delete", "job-1")])
def test_a_custom_resource_request_fails_at_once_with_the_variable(
    kind: str, physical_id: str | None, canceler: Canceler, capsys: pytest.CaptureFixture[str]
) -> None:
    report = canceler(canceler.request(kind, physical_id))
    returned_id = physical_id or FAILED_CREATE_ID
    assert canceler.responses == [("FAILED", returned_id, REASON + LOG_LOCATION)]
    assert (report["status"], report["reason"], report["PhysicalResourceId"]) == ("REJECTED", REASON, returned_id)
    error, logged = canceler.log.lines
    assert error["level"] == "ERROR"
    assert error["exception"].endswith(f"handler.errors.InvalidConfiguration: {FORCE}")
    assert logged["report"] == {key: value for key, value in report.items() if key != "PhysicalResourceId"}
    assert {error["correlation_id"], logged["correlation_id"]} == {"request-1"}
    assert "UnexpectedErrors" in capsys.readouterr().out


@pytest.mark.parametrize("physical_id", [FAILED_CREATE_ID, "firmware-dev-Teardown-1ABCDEFGHIJKL"])
def test_the_rollback_of_a_failed_create_completes(physical_id: str, canceler: Canceler) -> None:
    assert canceler(canceler.request("Delete", physical_id))["status"] == "SETTLED"
    assert canceler.responses == [("SUCCESS", physical_id, "")]


def test_a_deletion_with_continue_succeeds_with_a_warning(
    canceler: Canceler, capsys: pytest.CaptureFixture[str]
) -> None:
    canceler(canceler.request("Delete", "job-1", OnIncomplete="CONTINUE"))
    assert canceler.responses == [("SUCCESS", "job-1", REASON + LOG_LOCATION)]
    assert REASON in [line["message"] for line in canceler.log.lines if line["level"] == "WARNING"]
    assert "TeardownsContinued" in capsys.readouterr().out


def test_a_request_through_sns_gets_its_response(canceler: Canceler) -> None:
    message = json.dumps(canceler.request("Delete", "job-1"))
    canceler({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": message}}]})
    assert canceler.responses == [("FAILED", "job-1", REASON + LOG_LOCATION)]


def test_a_request_in_a_message_gets_its_response_and_is_deleted(canceler: Canceler) -> None:
    message = sqs_event(FakeSqs.teardown_arn, canceler.request("Delete", "job-1"))
    assert canceler(message) == {"batchItemFailures": []}
    assert canceler.responses == [("FAILED", "job-1", REASON + LOG_LOCATION)]


def test_a_message_of_a_later_format_is_redelivered(canceler: Canceler) -> None:
    message = sqs_event(FakeSqs.teardown_arn, canceler.request("Delete", "job-1"))
    message["Records"][0]["messageAttributes"] = {"Format": {"stringValue": "2", "dataType": "String"}}
    with pytest.raises(InvalidConfiguration):
        canceler(message)
    assert canceler.responses == []


def test_a_message_of_a_queue_that_is_not_known_is_redelivered(canceler: Canceler) -> None:
    message = sqs_event(FakeSqs.teardown_arn, canceler.request("Delete", "job-1"))
    with pytest.raises(InvalidConfiguration, match="environment variable TEARDOWN_QUEUE_URL: must be set"):
        canceler(message, FORCE="false", TEARDOWN_QUEUE_URL=None)
    assert canceler.responses == []


@pytest.mark.parametrize("event", [{"cancel": {"jobId": "a"}}, {}, [], "text"])
def test_every_other_event_fails(event: object, canceler: Canceler) -> None:
    for _ in range(2):
        with pytest.raises(InvalidConfiguration) as caught:
            canceler(event)
        assert str(caught.value) == FORCE


def test_a_relayed_request_fails_after_the_response(canceler: Canceler) -> None:
    other_function = f"{FakeContext.invoked_function_arn}-framework"
    with pytest.raises(TeardownFailed) as caught:
        canceler(canceler.request("Create", ServiceToken=other_function))
    assert str(caught.value) == REASON
    assert [status for status, *_ in canceler.responses] == ["FAILED"]


def test_a_response_that_is_not_accepted_is_raised(canceler: Canceler) -> None:
    canceler.server.script = [403]
    with pytest.raises(ResponseUndelivered):
        canceler(canceler.request("Create"))


@pytest.mark.parametrize("environment", [{"LOG_GROUP": None}, {"LOG_GROUP": ""}])
def test_the_reason_names_the_log_group_of_lambda_if_the_variable_is_missing(
    environment: Mapping[str, Any], canceler: Canceler
) -> None:
    canceler(canceler.request("Create"), AWS_LAMBDA_LOG_GROUP_NAME="/aws/lambda/own", **environment)
    ((_, _, reason),) = canceler.responses
    assert reason.endswith(" (log group /aws/lambda/own, correlation_id request-1)")


# The host of ResponseURL


@pytest.mark.parametrize(
    ("host", "suffix", "is_allowed"),
    [
        ("bucket.s3.amazonaws.com", None, True),
        ("bucket.s3.amazonaws.com.cn", None, True),
        ("bucket.s3.amazonaws.eu", "", True),
        ("bucket.s3.amazonaws.com", "amazonaws.com", True),
        ("bucket.s3.amazonaws.com.cn", "amazonaws.com", False),
        ("example.com", None, False),
        ("amazonaws.com.example.com", None, False),
    ],
)
def test_a_response_is_sent_only_to_aws(
    host: str, suffix: str | None, is_allowed: bool, log: Log, clock: FakeClock
) -> None:
    pool = FakePool()
    canceler = Canceler(pool, Responder(pool.pool, clock.sleep, lambda _least, most: most), log, clock)
    event = canceler.request("Create") | {"ResponseURL": f"https://{host}/x"}
    environment = {"URL_SUFFIX": suffix, "AWS_ENDPOINT_URL": None}
    if is_allowed:
        canceler(event, **environment)
    else:
        with pytest.raises(InvalidConfiguration):
            canceler(event, **environment)
    assert [each.target for each in pool.received] == ([event["ResponseURL"]] if is_allowed else [])


# Wiring


@pytest.fixture
def lambda_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """What Lambda sets; what `wire` makes of it is thrown away again."""
    for name in os.environ:
        if name.startswith(("AWS_", "POWERTOOLS_")):
            monkeypatch.delenv(name)
    for name, value in BROKEN.items():
        monkeypatch.setenv(name, value)
    wire.cache_clear()
    yield monkeypatch
    wire.cache_clear()


BROKEN_VARIABLES = [
    ("FORCE", "yes"),
    ("POWERTOOLS_METRICS_NAMESPACE", ""),
    ("POWERTOOLS_SERVICE_NAME", ""),
    ("POWERTOOLS_LOG_LEVEL", "VERBOSE"),
]


@pytest.mark.parametrize(("variable", "value"), BROKEN_VARIABLES)
def test_lambda_loads_the_function_with_an_invalid_environment(
    variable: str,
    value: str,
    lambda_environment: pytest.MonkeyPatch,
    server: ResponseUrl,
    context: FakeContext,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lambda_environment.setenv("FORCE", "false")
    lambda_environment.setenv(variable, value)
    lambda_environment.setenv("AWS_ENDPOINT_URL", server.url)
    sys.modules.pop("handler.lambda_function", None)
    handler = import_module("handler.lambda_function").lambda_handler
    report = handler(custom_resource_request("Create", None, f"{server.url}/response", {"JobId": "a"}), context)
    assert report["reason"].startswith(f"environment variable {variable}: must ")
    assert [each["Status"] for each in server.responses] == ["FAILED"]
    assert '"Namespace":"IoTJobCanceler"' in capsys.readouterr().out
    with pytest.raises(InvalidConfiguration, match=f"environment variable {variable}: must "):
        handler({"cancel": {"jobId": "a"}}, context)
