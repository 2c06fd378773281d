# Public names: what a check file needs, each with the module that defines it. The one list of them.

from .canary.criterion import P95_SLOWER as P95_SLOWER
from .canary.criterion import Criterion as Criterion
from .config.reviewed_keys import reviewed_keys as reviewed_keys
from .core.attestation import read_attestation as read_attestation
from .core.stages import CANARY as CANARY
from .core.stages import INCIDENTS as INCIDENTS
from .core.stages import SERVING as SERVING
from .errors import CheckFailed as CheckFailed
from .errors import Inconclusive as Inconclusive
from .errors import Unreachable as Unreachable
from .history.snapshot import Origin as Origin
from .history.snapshot import Snapshot as Snapshot
from .language.message import say as say
from .limits import NONE as NONE
from .limits import Limit as Limit
from .metrics.cache_age import (
    Cached as Cached,
)
from .metrics.cache_age import (
    measure_cached_since as measure_cached_since,
)
from .metrics.cache_age import (
    measure_rebuilt as measure_rebuilt,
)
from .periodic.changes import change_kinds as change_kinds
from .periodic.described_breakers import described_breakers as described_breakers
from .periodic.index_review import index_sizes as index_sizes
from .periodic.rehearsals import not_passed as not_passed
from .playbook.defaults import confirmations as confirmations
from .probes.eventually import eventually as eventually
from .probes.local_timer import LocalTimer as LocalTimer
from .probes.services import secured_parts as secured_parts
from .pytest_plugin.decorators import per as per
from .pytest_plugin.decorators import runbook as runbook
from .recovery.verify.rows import (
    Consistency as Consistency,
)
from .recovery.verify.rows import (
    catalog_kinds as catalog_kinds,
)
from .recovery.verify.rows import (
    recorded_tables as recorded_tables,
)
from .recovery.verify.rows import (
    validation_rows as validation_rows,
)
from .smoke.journeys import journeys_of as journeys_of
from .units import elapsed as elapsed
from .units import listed as listed
