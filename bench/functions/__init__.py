"""Lambda functions that are deployed beside this one: each file is a complete one."""
