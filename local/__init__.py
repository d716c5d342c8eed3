"""An AWS on this machine: MiniStack with the real stack on it, and the demonstration that `make run` plays there."""
