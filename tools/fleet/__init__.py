"""Devices with their jobs, and the ways to trigger a cancellation."""
