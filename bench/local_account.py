"""A local AWS with this stack, deployed by the SAM CLI, and the alternative functions."""

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
from bench.service import QUOTA
from tools.localaws import sam
from tools.localaws.aws import LocalAws

if TYPE_CHECKING:
    from mypy_boto3_lambda.literals import RuntimeType

MAX_JOBS = 200
MEMORY = 512  # MB, of each function: as in the template
BARE_REQUEST = "Bare Cancellation Requested"  # detail-type of its rule
_BARE = ROOT / "bench" / "functions" / "bare.py"
_CDK = (
    NODE_PACKAGES
    / "aws-cdk-lib/custom-resource-handlers/dist/custom-resources/aws-custom-resource-handler"
    / "index.js"
)


@dataclass(frozen=True)
class Account:
    """The local AWS, and the ARNs of the functions, which are the ServiceTokens of custom resources."""

    aws: LocalAws
    ours: str
    bare: str
    cdk: str


@contextmanager
def running(iot_url: str = "") -> Iterator[Account]:
    """Deploy the stack with default parameters, except MaxJobsPerRun and a rate limit of the quota.

    `iot_url` is the endpoint of AWS IoT for the functions. The default is the local AWS.
    """
    endpoints = {"AWS_ENDPOINT_URL_IOT": iot_url} if iot_url else {}
    with LocalAws({"PATH": f"{node().parent}{os.pathsep}{os.environ['PATH']}", **endpoints}) as aws:
        ours = sam.deploy(aws, {"MaxJobsPerRun": str(MAX_JOBS), "CancelsPerSecond": f"{QUOTA:.0f}"})["ServiceToken"]
        bare = _function(aws, "bare", "python3.13", _BARE, {})
        _add_rule(aws, bare)
        # On AWS the SDK is in the runtime; here it is in the search path for modules.
        cdk = _function(aws, "cdk", "nodejs24.x", _CDK, {"NODE_PATH": str(NODE_PACKAGES)})
        yield Account(aws, ours, bare, cdk)


def _function(aws: LocalAws, name: str, runtime: "RuntimeType", code: Path, environment: Mapping[str, str]) -> str:
    """Create a function of one file, whose role may cancel any job, and return its ARN."""
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


def _add_rule(aws: LocalAws, function_arn: str) -> None:
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
