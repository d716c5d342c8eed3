"""One deployed stack for the tests of the public contract."""

import pytest

from tests.conftest import Function
from tests.support.contract import Stack


@pytest.fixture
def stack(function: Function, capsys: pytest.CaptureFixture[str]) -> Stack:
    """With the defaults of template.yaml, and no jobs."""
    stack = Stack(function, capsys)
    stack.deploy()
    return stack
