"""An AWS on this machine, the demonstration that `make run` plays there, and the beliefs about the real one."""

import sys
from pathlib import Path

# The function's package lies where SAM wants it, and is not installed: the beliefs are held against its own adapter.
sys.path.append(str(Path(__file__).parents[1] / "src"))
