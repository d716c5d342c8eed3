"""The demonstration of `make run`, and the pictures that `make picture` draws of it."""
