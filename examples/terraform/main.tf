# `terraform destroy` cancels the IoT job, before the bucket goes from which the devices fetch their image.
#
#   terraform init
#   terraform apply -var job_id=firmware-2026-11
#   terraform destroy -var job_id=firmware-2026-11
#
# Needs the iot-job-canceler stack in the account and Region. Terraform has no custom resources of its own, so a
# CloudFormation stack with nothing but Teardown in it stands between: Terraform deletes it, and goes on when the job is
# cancelled. It fails if the job could not be, with CloudFormation's reason.
#
# Instead of the stack: aws_lambda_invocation with lifecycle_scope = "CRUD" invokes a function on destroy, but puts a key of
# its own into the event, which the canceler rejects as unknown. A destroy-time provisioner that runs `aws lambda invoke`
# with {"cancel": {"jobId": ...}} cancels, but does not fail on a job that could not be: the report would have to be read.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "job_id" {
  description = "The job that is cancelled on destroy. It need not exist yet."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,64}$", var.job_id))
    error_message = "must be 1 to 64 of the characters a-z A-Z 0-9 _ -"
  }
}

variable "canceler_stack" {
  description = "Name of the iot-job-canceler stack of this account and Region."
  type        = string
  default     = "iot-job-canceler"
}

# What the devices need for the job.
resource "aws_s3_bucket" "images" {
  bucket_prefix = "images-"
}

resource "aws_cloudformation_stack" "teardown" {
  name       = "teardown-of-${var.job_id}"
  depends_on = [aws_s3_bucket.images] # made after it, destroyed before it

  parameters = {
    JobId         = var.job_id
    CancelerStack = var.canceler_stack
  }

  template_body = <<-YAML
    AWSTemplateFormatVersion: '2010-09-09'
    Description: Its deletion cancels an IoT job.
    Parameters:
      JobId: {Type: String}
      CancelerStack: {Type: String}
    Resources:
      Teardown:
        Type: Custom::IoTJobCancellation
        Properties:
          ServiceToken:
            Fn::ImportValue: !Join ['-', [!Ref CancelerStack, ServiceToken]]
          ServiceTimeout: 900
          JobId: !Ref JobId
          Comment: terraform destroy
    Outputs:
      JobId: {Value: !Ref Teardown}
  YAML
}

output "job_id" {
  value = aws_cloudformation_stack.teardown.outputs["JobId"]
}
