"""Assumptions about AWS IoT Jobs, and the means to check them against an account: `make verify-aws`."""
