"""The command line of iot-job-canceler: a client of the deployed function, for people on call."""

import sys
from pathlib import Path

# An installed package has `handler` beside it. In a clone, `handler` is in src/, where SAM needs it.
sys.path.append(str(Path(__file__).parents[1] / "src"))
