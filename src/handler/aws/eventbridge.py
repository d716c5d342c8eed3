"""Publish the report of a run as an event on the bus. The only EventBridge client."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from handler.cancellation.rate import Deadline
from handler.cancellation.report import Report
from handler.inbound.eventbridge import REPORT_DETAIL_TYPE
from handler.redaction import redact
from handler.version import VERSION

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

SOURCE = "iot-job-canceler"
MAX_CALL_SECONDS = 10.0  # two attempts of 2 s, and a wait of up to 6 s between them
# PutEvents accepts 262,144 bytes. The jobs of one event may have this many; everything else is far smaller.
_MAX_JOBS_BYTES = 200_000


def events_client() -> "EventBridgeClient":
    """Return a client whose calls end within MAX_CALL_SECONDS. Retries are the SDK's."""
    return boto3.client(
        "events",
        config=Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 2}),
    )


class Publisher:
    """Publishes reports to one event bus."""

    def __init__(self, client: "EventBridgeClient", bus_name: str) -> None:
        self._client = client
        self._bus_name = bus_name

    def publish(self, report: Report, correlation_id: str, deadline: Deadline) -> str:
        """Return why the report was not published completely, or an empty string. The run does not depend on it."""
        for detail in event_details(report, correlation_id):
            if not deadline.allows(MAX_CALL_SECONDS):
                return "not enough time left in this invocation"
            try:
                response = self._client.put_events(
                    Entries=[
                        {
                            "Source": SOURCE,
                            "DetailType": REPORT_DETAIL_TYPE,
                            "Detail": detail,
                            "EventBusName": self._bus_name,
                        }
                    ]
                )
                if response["FailedEntryCount"]:
                    failed = response["Entries"][0]
                    return f"{failed.get('ErrorCode')}: {failed.get('ErrorMessage')}"
            except (BotoCoreError, ClientError, ResponseParserError) as error:
                return str(error)
            except (AttributeError, LookupError, TypeError, ValueError) as error:  # of an unreadable body
                return f"no usable response: {type(error).__name__}"
        return ""


def event_details(report: Report, correlation_id: str) -> list[str]:
    """Return the report as JSON texts that fit into an event, each with a part of the jobs and all other keys.

    The events are an audit trail: they also say who requested the run, and with which reason jobs were canceled.
    """
    published = json.loads(redact(json.dumps(_audit_keys(report) | report.as_dict(), ensure_ascii=False)))
    parts = list(_parts(published["jobs"]))
    return [
        json.dumps({"correlationId": correlation_id, "part": number, "parts": len(parts)} | published | {"jobs": jobs})
        for number, jobs in enumerate(parts, 1)
    ]


def _audit_keys(report: Report) -> dict[str, str]:
    keys = {"version": VERSION}
    if reason := report.cancel_reason:
        keys |= {"askedBy": reason.asked_by, "reasonCode": reason.reason_code, "comment": reason.comment}
    return keys


def _parts(jobs: list[dict[str, object]]) -> Iterator[list[Mapping[str, object]]]:
    """Yield at least one part: a run without jobs is published too."""
    part: list[Mapping[str, object]] = []
    size = 0
    for job in jobs:
        length = len(json.dumps(job)) + len(", ")
        if part and size + length > _MAX_JOBS_BYTES:
            yield part
            part, size = [], 0
        part.append(job)
        size += length
    yield part
