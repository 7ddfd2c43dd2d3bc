"""What was read so far, in a folder: a run that was interrupted goes on from there."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from trimtab.observe.source import Series

_RUN = "run.json"


class KeepError(Exception):
    """The folder can't be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Answers by what was asked. Without a folder nothing is kept."""

    folder: Path | None = None

    def run(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """What the first run in this folder asked for: its end of time is the end of every later one.

        Raises:
            KeepError: the folder belongs to another backtest, or can't be written.
        """
        if self.folder is None:
            return wanted
        file = self.folder / _RUN
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if file.exists():
                before: dict[str, Any] = json.loads(file.read_text())
            else:
                before = wanted
                file.write_text(json.dumps(wanted))
        except (OSError, ValueError) as error:
            raise KeepError(f"{self.folder} can't be used to resume ({error}); name another folder") from error
        if {**before, "end": 0} != {**wanted, "end": 0}:
            raise KeepError(
                f"{self.folder} holds another backtest (of {before.get('days')} days from {before.get('url')}); "
                "name another folder, or remove it"
            )
        return before

    def load(self, *asked: object) -> list[Series] | None:
        """A kept answer; None: not kept, or not readable."""
        file = self._file(asked)
        if file is None or not file.exists():
            return None
        try:
            with np.load(file, allow_pickle=False) as found:
                labels = json.loads(str(found["labels"]))
                bounds = found["bounds"]
                parts = zip(labels, bounds[:-1], bounds[1:], strict=True)
                return [Series(one, found["times"][a:b], found["values"][a:b]) for one, a, b in parts]
        except (OSError, ValueError, KeyError, BadZipFile):
            return None

    def save(self, series: Sequence[Series], *asked: object) -> None:
        """Keep an answer. The file appears whole or not at all."""
        file = self._file(asked)
        if file is None:
            return
        empty = [np.empty(0)]
        half = file.with_suffix(".part.npz")
        np.savez_compressed(
            half,
            labels=np.array(json.dumps([one.labels for one in series])),
            bounds=np.cumsum([0, *(len(one.times) for one in series)]),
            times=np.concatenate([*(one.times for one in series), *empty]),
            values=np.concatenate([*(one.values for one in series), *empty]),
        )
        half.replace(file)

    def _file(self, asked: tuple[object, ...]) -> Path | None:
        if self.folder is None:
            return None
        return self.folder / f"{hashlib.sha256(repr(asked).encode()).hexdigest()[:24]}.npz"
