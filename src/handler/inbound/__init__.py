"""Read the payload of an invocation, once: which event it is, and how it was delivered. Pure."""
