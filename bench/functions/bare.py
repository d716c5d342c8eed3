"""The baseline that cancels the job of an event."""

from collections.abc import Mapping

import boto3

iot = boto3.client("iot")


def handler(event: Mapping[str, Mapping[str, str]], _context: object) -> None:
    """Make one call, and ignore its result."""
    iot.cancel_job(jobId=event["detail"]["jobId"])
