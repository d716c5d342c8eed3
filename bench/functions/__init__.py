"""Lambda functions that are deployed beside ours: each file is a whole one."""
