"""`python -m iot_job_canceler`, which is installed as the command `iot-job-canceler`."""

import sys

from .commands import main

sys.exit(main())
