"""TuningCheckpoint and TuningJournal (v1alpha1): what a restart goes on from, and what was decided and why.

One of each a PerformanceConfig, with its name and owned by it. Trimtab alone writes them; `trimtab explain` reads the
journal. Both are compressed, because etcd holds them: RULES bound them in bytes, and the schema does too.
"""

from typing import Annotated

from pydantic import Field

from trimtab.api.constraints import MAX_CONTAINERS
from trimtab.api.spec import ApiModel

TEXT_A_WORKLOAD = 4096
TEXT_A_CONTAINER = 2048
"""Bound of what was learned, as base64 text in bytes: so much a workload, and so much more a container."""
MAX_LEARNED = TEXT_A_WORKLOAD + TEXT_A_CONTAINER * MAX_CONTAINERS
MAX_JOURNAL = 256 * 1024
"""Bound of a journal, as base64 text in bytes."""
BASE64 = "^[A-Za-z0-9+/]*={0,2}$"


class TuningCheckpointSpec(ApiModel):
    """What was learned of one workload."""

    version: Annotated[int, Field(ge=1, le=1_000_000)]
    """Version of the form of `learned`; a Trimtab that does not know it learns anew."""
    time: Annotated[str, Field(max_length=64)]
    """When it was taken; usage since then is read back from Prometheus."""
    settings: Annotated[str, Field(max_length=64)] = ""
    """Digest of the engine's constants at that time."""
    containers: Annotated[int, Field(ge=0, le=MAX_CONTAINERS)] = 0
    """Number of containers that it is about."""
    learned: Annotated[str, Field(max_length=MAX_LEARNED, pattern=BASE64)]
    """What was learned: a bundle of columns, in base64."""


class TuningJournalSpec(ApiModel):
    """What was decided for one workload, over retentionDays."""

    version: Annotated[int, Field(ge=1, le=1_000_000)]
    """Version of the form of `entries`."""
    count: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Number of decisions in it."""
    oldest: Annotated[str, Field(max_length=64)] = ""
    """Time of the oldest decision."""
    newest: Annotated[str, Field(max_length=64)] = ""
    """Time of the newest decision."""
    entries: Annotated[str, Field(max_length=MAX_JOURNAL, pattern=BASE64)]
    """The decisions: lines of JSON, newest first, compressed (zlib), in base64."""
