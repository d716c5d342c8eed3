"""For StackSets, step 5: one dashboard of all cancelers, in all accounts and Regions.

    python3 dashboard.py --regions eu-central-1 us-east-1

Needs boto3, and sharing.yaml in each of the Regions. The graphs show a new account as soon as its canceler has run.
"""

import argparse
import json

import boto3

# Title → the metrics that are shown.
GRAPHS = {
    "Jobs canceled": ["JobsCanceled"],
    "Executions that devices still run": ["ExecutionsLeftInProgress"],
    "Jobs that could not be canceled": ["JobsFailed", "JobsProtected"],
    "Runs that need attention": ["RunsRejected", "RunsUnsettled", "UnexpectedErrors"],
    "Deletions of stacks": ["TeardownsContinued", "TeardownsOutOfTime", "ResponsesUndelivered"],
}
LABEL = "${PROP('AccountLabel')} ${PROP('Region')} ${PROP('MetricName')} ${PROP('Dim.trigger')}"


def graph(title: str, metrics: list[str], regions: list[str]) -> dict[str, object]:
    """Return a graph with one search for each Region: a search finds the metrics of all accounts, but of one Region."""
    # Each poll counts a running execution again.
    statistic = "Maximum" if metrics == ["ExecutionsLeftInProgress"] else "Sum"
    names = " OR ".join(f'"{metric}"' for metric in metrics)
    search = f"SEARCH('{{IoTJobCanceler,service,trigger}} MetricName=({names})', '{statistic}', 3600)"
    expressions = [
        [{"expression": search, "id": f"e{number}", "label": LABEL, "region": region}]
        for number, region in enumerate(regions)
    ]
    properties = {"title": title, "region": regions[0], "view": "timeSeries", "stacked": True, "metrics": expressions}
    return {"type": "metric", "width": 12, "height": 6, "properties": properties}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", default="iot-job-cancelers")
    parser.add_argument("--regions", nargs="+", required=True)
    arguments = parser.parse_args()
    body = {"widgets": [graph(title, metrics, arguments.regions) for title, metrics in GRAPHS.items()]}
    boto3.client("cloudwatch").put_dashboard(DashboardName=arguments.name, DashboardBody=json.dumps(body))
