"""What the code believes of AWS IoT Jobs, as data that can be held against any account."""

from .branches import BRANCHES
from .cancelling import CANCELLING
from .executions import EXECUTIONS
from .limits import LIMITS
from .reading import READING

BELIEFS = (*CANCELLING, *LIMITS, *EXECUTIONS, *READING, *BRANCHES)
