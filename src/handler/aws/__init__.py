"""The clients of the AWS services, one module for each service."""
