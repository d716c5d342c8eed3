"""The baseline, and the sequential loop: boto3, a client, one call per job."""

import json
import sys

import boto3
from botocore.exceptions import ClientError

iot = boto3.client("iot")
for event in json.load(sys.stdin)["events"]:
    for job_id in event["cancel"]["jobIds"]:
        try:
            iot.cancel_job(jobId=job_id)
        except ClientError as error:
            print(f"{job_id}: {error}")
