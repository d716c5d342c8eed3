"""The contract of Custom::IoTJobCancellation: properties, ids, and one response to each request."""
