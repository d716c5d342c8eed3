"""The tools of this repository, which the Makefile calls with `python -m tools`."""

import sys
from pathlib import Path

# The handler is not installed: SAM needs it in src/. Some tools import its modules.
sys.path.append(str(Path(__file__).parents[1] / "src"))
