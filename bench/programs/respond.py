"""The baseline of a deletion: boto3, a client, one call, one PUT."""

import json
import sys

import boto3
import urllib3

iot = boto3.client("iot")
for event in json.load(sys.stdin)["events"]:
    iot.cancel_job(jobId=event["PhysicalResourceId"])
    names = ("StackId", "RequestId", "LogicalResourceId", "PhysicalResourceId")
    body = {"Status": "SUCCESS"} | {name: event[name] for name in names}
    urllib3.PoolManager().request("PUT", event["ResponseURL"], body=json.dumps(body), headers={"Content-Type": ""})
