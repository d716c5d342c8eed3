"""The assumptions about AWS IoT Jobs, as data that can be checked against any account."""

from .cancel import CANCEL
from .executions import EXECUTIONS
from .limits import LIMITS
from .reading import READING
from .undocumented import UNDOCUMENTED

ASSUMPTIONS = (*CANCEL, *LIMITS, *EXECUTIONS, *READING, *UNDOCUMENTED)
