"""AWS services in memory, with the rules of the real ones: for the tests, the benchmark and the conformance checks."""
