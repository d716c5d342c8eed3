"""Events of other services and for other functions are rejected, with a reason that names what arrived."""

import json
import re
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Function
from tests.support.fakes import FakeJob

ACCEPTED = (
    "event: must be a CloudFormation custom resource request, an EventBridge event, a CloudWatch alarm, an SNS "
    'notification with one of the last two, or {"cancel": {...}}; received '
)
JOB = "firmware-2026-11"
SAM = Path(sysconfig.get_path("purelib")) / "samcli" / "lib" / "generated_sample_events" / "events"
# What arrived → the files of `sam local generate-event`.
RECEIVED = {
    "an Application Load Balancer event": ["alb/ALBRequest"],
    "an object with the keys context, request, session, version": [
        "alexa-skills-kit/AlexaEndSession",
        "alexa-skills-kit/AlexaIntentAnswer",
        "alexa-skills-kit/AlexaIntentGetNewFact",
        "alexa-skills-kit/AlexaIntentMyColorIs",
        "alexa-skills-kit/AlexaIntentRecipe",
        "alexa-skills-kit/AlexaStartSession",
    ],
    "an object with the keys header, payload": [
        "alexa-smart-home/AlexaSmartHomeControlTurnOffRequest",
        "alexa-smart-home/AlexaSmartHomeControlTurnOnRequest",
        "alexa-smart-home/AlexaSmartHomeDiscoveryRequest",
    ],
    "an API Gateway event": [
        "apigateway/ApiGatewayAuthorizer",
        "apigateway/ApiGatewayRestRequestAuthorizer",
        "apigateway/AwsProxy",
        "apigateway/HttpApi",
    ],
    "an object with the keys arguments, identity, info, prev, request, 2 more": ["appsync/AppSyncDirectResolver"],
    "an object with the keys jobDefinition, jobName, jobQueue": ["batch/BatchGetJob"],
    "an object with the key jobId": ["batch/BatchSubmitJob"],
    "records of CloudFront": [
        "cloudfront/CloudFrontABTest",
        "cloudfront/CloudFrontAccessRequestInResponse",
        "cloudfront/CloudFrontHttpRedirect",
        "cloudfront/CloudFrontModifyQueryString",
        "cloudfront/CloudFrontModifyResponseHeader",
        "cloudfront/CloudFrontMultipleRemoteCallsAggregateResponse",
        "cloudfront/CloudFrontNormalizeQuerystringToImproveCacheHit",
        "cloudfront/CloudFrontRedirectOnViewerCountry",
        "cloudfront/CloudFrontRedirectUnauthenticatedUsers",
        "cloudfront/CloudFrontResponseGeneration",
        "cloudfront/CloudFrontServeObjectOnViewerDevice",
        "cloudfront/CloudFrontSimpleRemoteCall",
    ],
    "an event of CloudWatch Logs": ["cloudwatch/CloudwatchLogs"],
    "records of aws:codecommit": ["codecommit/CodeCommit"],
    "an object with the key CodePipeline.job": ["codepipeline/CodePipeline"],
    "an object with the keys datasetName, datasetRecords, eventType, identityId, identityPoolId, 2 more": [
        "cognito/CognitoSyncTrigger"
    ],
    "an object with the keys accountId, configRuleArn, configRuleId, configRuleName, eventLeftScope, 5 more": [
        "config/ConfigurationItemChangeNotification",
        "config/OversizedConfigurationItemChangeNotification",
        "config/PeriodicRule",
    ],
    "an object with the keys Details, Name": ["connect/ConnectContactFlowEvent"],
    "records of aws:dynamodb": ["dynamodb/DynamoDBUpdate"],
    "records of aws:kinesis": ["kinesis/Kinesis"],
    "an object with the keys applicationArn, invocationId, records, streamArn": [
        "kinesis/KinesisAnalytics",
        "kinesis/KinesisAnalyticsKpl",
    ],
    "an object with the keys deliveryStreamArn, invocationId, records, region": [
        "kinesis/KinesisFirehose",
        "kinesis/KinesisFirehoseCloudwatchLogsProcessor",
    ],
    "an object with the keys invocationId, records, region": [
        "kinesis/KinesisFirehoseApachelog",
        "kinesis/KinesisFirehoseSyslog",
    ],
    "an object with the keys deliverySteamArn, invocationId, records, region": [
        "kinesis/KinesisFirehoseStreamsAsSource"
    ],
    "an object with the keys bot, currentIntent, invocationSource, messageVersion, outputDialogMode, 2 more": [
        "lex/LexBookCar",
        "lex/LexBookHotel",
        "lex/LexMakeAppointment",
        "lex/LexOrderFlowers",
    ],
    "an object with the keys bot, inputMode, inputTranscript, interpretations, invocationSource, 5 more": [
        "lex-v2/BankingBot"
    ],
    "an object with the keys bot, inputMode, inputTranscript, interpretations, invocationSource, 6 more": [
        "lex-v2/LexBookCar",
        "lex-v2/LexBookHotel",
    ],
    "records of aws:s3": ["rekognition/RekognitionS3Request", "s3/S3Delete", "s3/S3Put"],
    "an object with the keys invocationId, invocationSchemaVersion, job, tasks": ["s3/S3BatchInvocation"],
    "an object with the keys labelAttributeName, labelingJobArn, payload, roleArn, version": [
        "sagemaker/AnnotationConsolidation"
    ],
    "an object with the keys dataObject, labelingJobArn, version": ["sagemaker/PreHumanTask"],
    "records of aws:ses": ["ses/SesEmailReceiving"],
    "an SNS notification with a string": ["sns/Sns"],
    "records of aws:sqs from a queue that is not the stack's own; the messages stay in that queue": ["sqs/Sqs"],
    "an object with the keys Cause, Error": ["stepfunctions/StepFunctionsError"],
    "an object with the keys envelope, flowDirection, invocationId, messageId, sender, 3 more": ["workmail/WorkMail"],
}
# Not foreign: the function responds to it, or it requests the sweep of the stack.
OWN = {"cloudformation/CfnCreateRequest", "cloudwatch/ScheduledEvent"}
SAMPLES = {name: received for received, names in RECEIVED.items() for name in names}

# Detail-types of AWS services that a rule may send to the function by mistake, with their source.
DETAIL_TYPES = {
    "aws.autoscaling": ["EC2 Instance Launch Successful", "EC2 Instance Terminate Successful"],
    "aws.backup": ["Backup Job State Change", "Restore Job State Change"],
    "aws.batch": ["Batch Job State Change"],
    "aws.cloudformation": [
        "CloudFormation Drift Detection Status Change",
        "CloudFormation Resource Status Change",
        "CloudFormation StackSet Operation Status Change",
    ],
    "aws.cloudwatch": ["CloudWatch Alarm Configuration Change"],
    "aws.codebuild": ["CodeBuild Build Phase Change", "CodeBuild Build State Change"],
    "aws.codecommit": ["CodeCommit Repository State Change"],
    "aws.codedeploy": ["CodeDeploy Deployment State-change Notification"],
    "aws.codepipeline": ["CodePipeline Pipeline Execution State Change"],
    "aws.config": ["Config Configuration Item Change", "Config Rules Compliance Change"],
    "aws.ebs": ["EBS Volume Notification"],
    "aws.ec2": ["EC2 Instance State-change Notification", "EC2 Spot Instance Interruption Warning"],
    "aws.ecr": ["ECR Image Action", "ECR Image Scan"],
    "aws.ecs": ["ECS Container Instance State Change", "ECS Task State Change"],
    "aws.elasticache": ["ElastiCache Cluster Notification"],
    "aws.emr": ["EMR Step Status Change"],
    "aws.glue": ["Glue Job State Change"],
    "aws.guardduty": ["GuardDuty Finding"],
    "aws.health": ["AWS Health Event"],
    "aws.inspector2": ["Inspector2 Finding"],
    "aws.kms": ["KMS CMK Deletion", "KMS CMK Rotation"],
    "aws.macie": ["Macie Finding"],
    "aws.organizations": ["AWS Service Event via CloudTrail"],
    "aws.rds": ["RDS DB Instance Event", "RDS DB Snapshot Event"],
    "aws.s3": ["AWS API Call via CloudTrail", "Object Created", "Object Deleted"],
    "aws.sagemaker": ["SageMaker Training Job State Change"],
    "aws.secretsmanager": ["AWS API Call via CloudTrail"],
    "aws.securityhub": ["Security Hub Findings - Imported"],
    "aws.signin": ["AWS Console Sign In via CloudTrail"],
    "aws.ssm": ["EC2 Command Status-change Notification", "Parameter Store Change"],
    "aws.states": ["Step Functions Execution Status Change"],
    "aws.tag": ["Tag Change on Resource"],
    "aws.trustedadvisor": ["Trusted Advisor Check Item Refresh Notification"],
    "fleet.console": ["CloudWatch Alarm State Change", "Scheduled Event"],
}
EVENTS = [(source, detail_type) for source, detail_types in DETAIL_TYPES.items() for detail_type in detail_types]
WRAPPED = {name: received for name, received in SAMPLES.items() if name not in {"sns/Sns", "sqs/Sqs"}}


def sample(name: str) -> Any:
    """Return the event, in which each placeholder is the id of an active job."""
    return json.loads(re.sub(r"{{{\w+}}}", JOB, (SAM / f"{name}.json").read_text()))


def rejected(function: Function, event: object) -> str:
    """Return what the reason says of the event, which is rejected without a call of AWS IoT."""
    function.configure(alarm_name_prefix="a", sweep_job_id_glob="*")
    function.jobs.jobs[JOB] = FakeJob()
    function(event)
    (report,) = function.reports
    assert (report["status"], report["jobs"], function.jobs.calls) == ("REJECTED", [], [])
    return str(report["reason"])


def test_every_sample_of_sam_is_in_the_table() -> None:
    assert {path.relative_to(SAM).with_suffix("").as_posix() for path in SAM.rglob("*.json")} == {*SAMPLES, *OWN}


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_of_sam_is_rejected(name: str, function: Function) -> None:
    assert rejected(function, sample(name)) == f"{ACCEPTED}{SAMPLES[name]}"


@pytest.mark.parametrize("name", WRAPPED)
def test_sample_of_sam_in_a_notification_is_rejected(name: str, function: Function) -> None:
    record = {"EventSource": "aws:sns", "Sns": {"MessageId": "n-1", "Message": json.dumps(sample(name))}}
    received = f"{ACCEPTED}an SNS notification with {WRAPPED[name]}"
    assert rejected(function, {"Records": [record]}) == received


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_of_sam_through_a_pipe_is_rejected(name: str, function: Function) -> None:
    """A pipe sends a list, whatever it contains."""
    assert rejected(function, [sample(name)]) == f"{ACCEPTED}a list of 1"


@pytest.mark.parametrize(("source", "detail_type"), EVENTS)
def test_event_of_another_service_is_rejected(source: str, detail_type: str, function: Function) -> None:
    event = {"id": "e-1", "source": source, "detail-type": detail_type, "detail": {"JobId": JOB, "jobId": JOB}}
    shown = detail_type if len(detail_type) <= 40 else f"{detail_type[:40]}..."
    reason = rejected(function, event)
    assert reason.startswith("detail-type: must be one of AWS API Call via CloudTrail, ")
    assert reason.endswith(f"; received '{shown}' from '{source}'")


def test_there_are_more_than_200_foreign_events() -> None:
    assert (2 * len(SAMPLES) + len(WRAPPED) + len(EVENTS)) >= 200
