"""A local AWS: MiniStack, and the stacks that are deployed to it."""
