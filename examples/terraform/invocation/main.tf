# `terraform destroy` invokes the canceler, which cancels the IoT job before Terraform deletes the bucket.
#
#   terraform init
#   terraform apply -var job_id=firmware-2026-11
#   terraform destroy -var job_id=firmware-2026-11
#
# Needs the iot-job-canceler stack in the account and Region, and the permission lambda:InvokeFunction for Terraform. If the
# job could not be canceled, `terraform destroy` fails with the reason, and keeps the bucket. Run it again to continue.
#
# Terraform waits for one invocation, so this does not wait for devices that still run the job: ../main.tf can.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.1" # the first one with lifecycle_scope
    }
  }
}

variable "job_id" {
  description = "Id of the job to cancel on destroy. The job need not exist yet."
  type        = string
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

data "aws_cloudformation_export" "canceler" {
  name = "${var.canceler_stack}-ServiceToken"
}

resource "aws_lambda_invocation" "teardown" {
  function_name   = data.aws_cloudformation_export.canceler.value
  lifecycle_scope = "CRUD"                  # the default cancels the job as soon as the configuration is applied
  triggers        = { job_id = var.job_id } # another job replaces the resource, which cancels the old job
  depends_on      = [aws_s3_bucket.images]  # created after the bucket, destroyed before it

  input = jsonencode({
    cancel = { jobId = var.job_id, comment = "terraform destroy" }
  })
}
