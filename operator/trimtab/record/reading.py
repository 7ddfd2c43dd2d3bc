"""TuningJournals as a reader finds them: entries, or the reason why there are none."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from trimtab.api.checkpoint import TuningJournalSpec
from trimtab.record.journals import Entry, JournalError, decode


def entries_of(raw: Mapping[str, Any]) -> tuple[list[Entry], str]:
    """The entries of a TuningJournal, newest first, and why it can't be read (empty: it can)."""
    try:
        return decode(TuningJournalSpec.model_validate(raw.get("spec"))), ""
    except ValidationError:
        return [], "it has no spec of a journal"
    except JournalError as error:
        return [], str(error)
