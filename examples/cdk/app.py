"""A CDK stack whose deletion cancels its IoT job, before the bucket goes from which the devices fetch their image.

It uses the construct of `iot_job_cancellation.py`, which you can copy.

    pip install aws-cdk-lib
    cdk deploy --app "python3 app.py" --context jobId=firmware-2026-11
    cdk destroy --app "python3 app.py" --context jobId=firmware-2026-11

Needs the iot-job-canceler stack in the account and Region, and an account that was bootstrapped for CDK.
"""

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from constructs import Construct
from iot_job_cancellation import IotJobCancellation


class RollOut(cdk.Stack):
    """What the devices need for the job, and the job's end."""

    def __init__(self, scope: Construct, construct_id: str, *, job_id: str, canceler_stack: str) -> None:
        super().__init__(scope, construct_id)
        images = s3.Bucket(
            self,
            "Images",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            removal_policy=cdk.RemovalPolicy.DESTROY,  # fails while the bucket is not empty
        )
        teardown = IotJobCancellation(
            self,
            "Teardown",
            job_id=job_id,
            comment=f"stack {self.stack_name} was deleted",
            canceler_stack=canceler_stack,
        )
        teardown.cancel_before_deleting(images)
        cdk.CfnOutput(self, "JobId", value=teardown.job_id)
        cdk.CfnOutput(self, "ImagesBucket", value=images.bucket_name)


app = cdk.App()
RollOut(
    app,
    "RollOut",
    job_id=app.node.get_context("jobId"),
    canceler_stack=app.node.try_get_context("cancelerStack") or "iot-job-canceler",
)
app.synth()
