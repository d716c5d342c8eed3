"""AWS services in memory, for tests, the benchmark and the conformance suite."""
