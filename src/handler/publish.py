"""The report of a run as an event on the bus, for whoever wants to know. The only EventBridge client."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from .events import REPORTED
from .outcome import Report
from .redaction import redact
from .timing import Deadline

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

SOURCE = "iot-job-canceler"
WORST_CALL = 5.0  # seconds, with the SDK's own second attempt
# PutEvents takes 262,144 bytes. An event's jobs may have so many; what else stands in it is far below the rest.
_MOST_BYTES = 200_000


def events_client() -> "EventBridgeClient":
    """A client whose calls end within WORST_CALL. Retries are the SDK's."""
    return boto3.client(
        "events",
        config=Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 2}),
    )


class Publisher:
    """Puts reports on the bus of that name."""

    def __init__(self, client: "EventBridgeClient", bus_name: str) -> None:
        self._client = client
        self._bus_name = bus_name

    def publish(self, report: Report, correlation_id: str, deadline: Deadline) -> str:
        """Why not the whole report is on the bus, or nothing if it is. The run is over: nothing hangs on it."""
        for detail in details_of(report, correlation_id):
            if not deadline.allows(WORST_CALL):
                return "there was no time for it"
            try:
                answer = self._client.put_events(
                    Entries=[
                        {"Source": SOURCE, "DetailType": REPORTED, "Detail": detail, "EventBusName": self._bus_name}
                    ]
                )
                if answer["FailedEntryCount"]:
                    failed = answer["Entries"][0]
                    return f"{failed.get('ErrorCode')}: {failed.get('ErrorMessage')}"
            except (BotoCoreError, ClientError, ResponseParserError) as error:
                return str(error)
            except (AttributeError, LookupError, TypeError, ValueError) as error:  # of a body that nobody can read
                return f"no usable answer: {type(error).__name__}"
        return ""


def details_of(report: Report, correlation_id: str) -> list[str]:
    """The report as JSON texts that an event can hold, each with a part of the jobs and all of the rest."""
    told = json.loads(redact(json.dumps(report.as_dict(), ensure_ascii=False)))
    parts = list(_parts(told["jobs"]))
    return [
        json.dumps({"correlationId": correlation_id, "part": number, "parts": len(parts)} | told | {"jobs": jobs})
        for number, jobs in enumerate(parts, 1)
    ]


def _parts(jobs: list[dict[str, object]]) -> Iterator[list[Mapping[str, object]]]:
    """One part at the least: also a run without jobs is reported."""
    part: list[Mapping[str, object]] = []
    size = 0
    for job in jobs:
        length = len(json.dumps(job)) + len(", ")
        if part and size + length > _MOST_BYTES:
            yield part
            part, size = [], 0
        part.append(job)
        size += length
    yield part
