"""`make plan`: what an event would cancel on a deployed stack."""
