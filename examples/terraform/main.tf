# `terraform destroy` cancels the IoT job before it deletes the bucket from which the devices fetch their image.
#
#   terraform init
#   terraform apply -var job_id=firmware-2026-11
#   terraform destroy -var job_id=firmware-2026-11
#
# Needs the iot-job-canceler stack in the account and Region. Terraform has no custom resources of its own, so a
# CloudFormation stack contains the resource Teardown. Terraform deletes this stack, and continues when the job is
# canceled. If the job could not be canceled, it fails with CloudFormation's reason.
#
# Instead of the stack: invocation/main.tf invokes the canceler itself. It needs no second stack, but cannot wait for devices
# and has no rollback. A destroy-time provisioner that runs `aws lambda invoke` with {"cancel": {"jobId": ...}} cancels, but
# does not fail on a job that could not be canceled: the report would have to be read.

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
  description = "Id of the job to cancel on destroy. The job need not exist yet."
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

# The devices fetch their image from this bucket.
resource "aws_s3_bucket" "images" {
  bucket_prefix = "images-"
}

resource "aws_cloudformation_stack" "teardown" {
  # A stack name cannot contain _. With the hash, firmware_1 and firmware-1 still get different stacks.
  name       = "teardown-of-${replace(var.job_id, "_", "-")}-${substr(sha1(var.job_id), 0, 8)}"
  depends_on = [aws_s3_bucket.images] # created after the bucket, destroyed before it

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
