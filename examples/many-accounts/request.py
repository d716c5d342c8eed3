"""For requests to many accounts, step 3: send one request to many cancelers, and collect their reports.

    echo '{"select": {"jobIdGlob": "ota-2026-11-*"}, "reasonCode": "BAD_IMAGE", "comment": "ticket 42"}' > request.json
    python3 request.py plan request.json --queue <QueueUrl of center.yaml> \
      --accounts 222222222222 333333333333 --regions eu-central-1 us-east-1 > plans.json

`plan` sends dry runs, which cancel nothing. Read plans.json, and delete the reports of accounts that are excluded.

    python3 request.py apply plans.json --queue <QueueUrl> > results.json

`apply` sends the request to these accounts again, each time with the planId of the account. If the jobs of an account
have changed since then, its request is rejected and cancels nothing: repeat the plan.

Needs boto3, center.yaml in the account and Region of your credentials, and member.yaml in each account and Region. Your
role needs sqs:ReceiveMessage and sqs:DeleteMessage on the queue, and events:PutEvents on the buses iot-job-requests.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import boto3

# What plans.json and results.json have of each report.
KEYS = ("status", "reason", "counts", "executionsLeftInProgress", "executionsEnded", "jobs", "planId")


def send(account: str, region: str, source: str, cancel: dict[str, Any]) -> str:
    """Send a request to one canceler, and return the id of the event. The report has the same id."""
    session = boto3.Session(region_name=region)
    bus = f"arn:{session.get_partition_for_region(region)}:events:{region}:{account}:event-bus/iot-job-requests"
    response = session.client("events").put_events(
        Entries=[
            {
                "EventBusName": bus,
                "Source": source,
                "DetailType": "IoT Job Cancellation Requested",
                "Detail": json.dumps({"cancel": cancel}),
            }
        ]
    )
    (result,) = response["Entries"]
    if "EventId" not in result:
        sys.exit(f"the request was not sent to {bus}: {result}. Earlier requests were sent.")
    return result["EventId"]


def collect(queue: str, ids: set[str], seconds: float) -> dict[str, dict[str, Any]]:
    """Wait for the last report on each event, and return the latest reports. Reports on other events stay on the queue.

    A report is not the last one if work continues, which a dry run never does. A long report comes in parts. The first
    part has all keys, and about 1,400 jobs.
    """
    sqs, reports, waiting = boto3.client("sqs"), dict[str, dict[str, Any]](), set(ids)
    end = time.monotonic() + seconds
    while waiting and time.monotonic() < end:
        received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=5)
        for message in received.get("Messages", []):
            report = json.loads(message["Body"])["detail"]
            event_id = report["correlationId"]
            if event_id not in ids:
                continue
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            if report["part"] == 1 and event_id in waiting:
                reports[event_id] = report
                if report["dryRun"] or report["status"] != "UNFINISHED":
                    waiting.remove(event_id)
    return reports


def run(requests: list[tuple[str, str, dict[str, Any]]], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Send each request to its account and Region, and return the reports. Without a report, the status is empty."""
    sent = {send(account, region, arguments.source, cancel): (account, region) for account, region, cancel in requests}
    reports = collect(arguments.queue, set(sent), arguments.seconds)
    return [
        {"account": account, "region": region, "status": ""}
        | {key: reports[event_id][key] for key in KEYS if key in reports.get(event_id, {})}
        for event_id, (account, region) in sent.items()
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("plan", "apply"):
        command = commands.add_parser(name)
        command.add_argument("file", type=Path)
        command.add_argument("--queue", required=True)
        command.add_argument("--source", default="fleet.center")
        command.add_argument("--seconds", type=float, default=120)
    commands.choices["plan"].add_argument("--accounts", nargs="+", required=True)
    commands.choices["plan"].add_argument("--regions", nargs="+", required=True)
    arguments = parser.parse_args()
    content = json.loads(arguments.file.read_text())
    if arguments.command == "plan":
        request = content
        dry_run = request | {"dryRun": True}
        requests = [(account, region, dry_run) for account in arguments.accounts for region in arguments.regions]
    else:
        request = content["request"]
        # A dry run that was rejected, or that matches more than 500 jobs, has no planId.
        plans = [each for each in content["reports"] if "planId" in each]
        requests = [(each["account"], each["region"], request | {"planId": each["planId"]}) for each in plans]
    results = run(requests, arguments)
    print(json.dumps({"request": request, "reports": results}, indent=2))
    settled = sum(each["status"] == "SETTLED" for each in results)
    sys.exit(0 if settled == len(results) else f"{len(results) - settled} of {len(results)} reports are not SETTLED")
