"""A local AWS with our stack, as the real SAM CLI deploys it, and the functions that it is measured against."""

import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

from bench.process import NODE_PACKAGES, ROOT, node
from tools.localaws import sam
from tools.localaws.aws import LocalAws

if TYPE_CHECKING:
    from mypy_boto3_lambda.literals import RuntimeType

MOST_JOBS = 200
MEMORY = 512  # MB, of each function: what ours has by its template
BARE_REQUEST = "Bare Cancellation Requested"  # its rule's detail-type
_BARE = ROOT / "bench" / "functions" / "bare.py"
_CDK = (
    NODE_PACKAGES
    / "aws-cdk-lib/custom-resource-handlers/dist/custom-resources/aws-custom-resource-handler"
    / "index.js"
)


@dataclass(frozen=True)
class Account:
    """The local AWS, and the ARNs of the functions: what a custom resource has as its ServiceToken."""

    aws: LocalAws
    ours: str
    bare: str
    cdk: str


@contextmanager
def running(iot_url: str = "") -> Iterator[Account]:
    """All parameters at their defaults, but that a run may cancel as many jobs as are measured.

    `iot_url` is where the functions find AWS IoT, if it is not the one of the local AWS.
    """
    elsewhere = {"AWS_ENDPOINT_URL_IOT": iot_url} if iot_url else {}
    with LocalAws({"PATH": f"{node().parent}{os.pathsep}{os.environ['PATH']}", **elsewhere}) as aws:
        ours = sam.deploy(aws, {"MaxJobsPerRun": str(MOST_JOBS)})["ServiceToken"]
        bare = _function(aws, "bare", "python3.13", _BARE, {})
        _let_events_reach(aws, bare)
        # On AWS the runtime brings the SDK, here the search path for modules does.
        cdk = _function(aws, "cdk", "nodejs24.x", _CDK, {"NODE_PATH": str(NODE_PACKAGES)})
        yield Account(aws, ours, bare, cdk)


def _function(aws: LocalAws, name: str, runtime: "RuntimeType", code: Path, environment: Mapping[str, str]) -> str:
    """The ARN of a function of one file, whose role may cancel any job."""
    archive = io.BytesIO()
    with ZipFile(archive, "w") as opened:
        opened.writestr(code.name, code.read_bytes())
    created = aws.client("lambda").create_function(
        FunctionName=name,
        Runtime=runtime,
        Handler=f"{code.stem}.handler",
        Role=_role(aws, name),
        Code={"ZipFile": archive.getvalue()},
        Environment={"Variables": environment},
        Timeout=120,
        MemorySize=MEMORY,
    )
    return created["FunctionArn"]


def _role(aws: LocalAws, name: str) -> str:
    iam = aws.client("iam")
    trust = _policy(Principal={"Service": "lambda.amazonaws.com"}, Action="sts:AssumeRole")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]
    iam.put_role_policy(
        RoleName=name, PolicyName="CancelJob", PolicyDocument=_policy(Action="iot:CancelJob", Resource="*")
    )
    return role["Arn"]


def _let_events_reach(aws: LocalAws, function_arn: str) -> None:
    events = aws.client("events")
    rule = events.put_rule(Name="bare", EventPattern=json.dumps({"detail-type": [BARE_REQUEST]}))["RuleArn"]
    events.put_targets(Rule="bare", Targets=[{"Id": "bare", "Arn": function_arn}])
    aws.client("lambda").add_permission(
        FunctionName=function_arn,
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )


def _policy(**statement: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})
