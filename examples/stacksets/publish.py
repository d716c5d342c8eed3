"""For StackSets, step 2: make a template that they can deploy of a canceler that `sam deploy` has deployed.

    sam build && sam deploy                          # in the account that administers the stack set
    python3 publish.py --stack iot-job-canceler --regions eu-central-1 us-east-1

It prints the template's URL, for canceler.yaml. Needs boto3, and artifacts.yaml in each of the Regions and in your own.

StackSets that manage their own permissions take no template with a transform, as SAM's is. So this takes the one that
CloudFormation has made of it, and changes one thing: the code comes from the bucket of each function's Region.
"""

import argparse
import hashlib
import json

import boto3


def bucket(account: str, region: str) -> str:
    """The bucket of artifacts.yaml."""
    return f"iot-job-canceler-{account}-{region}"


def publish(stack: str, regions: list[str]) -> str:
    """Bring code and template to the buckets, and give the template's URL."""
    session = boto3.Session()
    home, account = session.region_name, session.client("sts").get_caller_identity()["Account"]
    answer = session.client("cloudformation").get_template(StackName=stack, TemplateStage="Processed")
    template = answer["TemplateBody"]

    code = template["Resources"]["Function"]["Properties"]["Code"]
    source, key = {"Bucket": code["S3Bucket"], "Key": code["S3Key"]}, code["S3Key"]
    for region in regions:
        session.client("s3", region_name=region).copy_object(Bucket=bucket(account, region), Key=key, CopySource=source)
    code["S3Bucket"] = {"Fn::Sub": bucket(account, "${AWS::Region}")}

    body = json.dumps(template).encode()
    name = f"{hashlib.sha256(body).hexdigest()}.json"  # another template is another URL, which makes it an update
    session.client("s3").put_object(Bucket=bucket(account, home), Key=name, Body=body)
    return f"https://{bucket(account, home)}.s3.{home}.amazonaws.com/{name}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--stack", default="iot-job-canceler")
    parser.add_argument("--regions", nargs="+", required=True)
    arguments = parser.parse_args()
    print(publish(arguments.stack, arguments.regions))
