"""A function by the tutorials of crhelper and Powertools: all decorators, a parsed model, a thread pool."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parser import BaseModel, event_parser
from botocore.exceptions import ClientError
from crhelper import CfnResource

from bench.programs.context import Context

logger, tracer, metrics = Logger(), Tracer(), Metrics()
helper = CfnResource(json_logging=False, log_level="DEBUG", boto_level="CRITICAL", sleep_on_delete=120)  # its defaults
iot = boto3.client("iot")


class Cancel(BaseModel):
    """The jobs."""

    jobIds: list[str]  # noqa: N815 - the event's name


class Request(BaseModel):
    """The event."""

    cancel: Cancel


@tracer.capture_method
def cancel(job_id: str) -> None:
    """Cancel one job."""
    try:
        iot.cancel_job(jobId=job_id)
        metrics.add_metric(name="JobsCanceled", unit=MetricUnit.Count, value=1)
    except ClientError:
        logger.exception("the job can't be canceled")


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
@event_parser(model=Request)
def lambda_handler(event: Request, _context: Any) -> dict[str, str]:
    """The entry point."""
    with ThreadPoolExecutor(max_workers=10) as pool:
        list(pool.map(cancel, event.cancel.jobIds))
    return {"status": "ok"}


for each in json.load(sys.stdin)["events"]:
    lambda_handler(each, Context())
