"""The algorithm of aws-nuke: list the jobs that are IN_PROGRESS and cancel each, every 5 s, until none remains."""

import json
import sys
import time

import boto3
from botocore.exceptions import ClientError

SECONDS_BETWEEN = 5
ROUNDS = 20

json.load(sys.stdin)
iot = boto3.client("iot")
for _ in range(ROUNDS):
    pages = iot.get_paginator("list_jobs").paginate(status="IN_PROGRESS")
    job_ids = [job["jobId"] for page in pages for job in page["jobs"]]
    if not job_ids:
        break
    for job_id in job_ids:
        try:
            iot.cancel_job(jobId=job_id)
        except ClientError as error:
            print(f"{job_id}: {error}")
    time.sleep(SECONDS_BETWEEN)
