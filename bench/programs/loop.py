"""The least that can cancel jobs: boto3, a client, one call for each. It is the floor, and the sequential loop."""

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
