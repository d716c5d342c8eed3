"""iot-job-canceler: cancels AWS IoT jobs for stack deletions, schedules and events."""
