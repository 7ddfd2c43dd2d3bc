"""Running commands, waiting for conditions, and telling the user how far things are."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

POLL_SECONDS = 0.1


class BedError(Exception):
    """Something the test bed needs is missing or failed; the message says what, where and the remedy."""


def run(
    command: Sequence[str | Path],
    *,
    timeout: float = 30.0,
    stdin: str | None = None,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return it with its output as text.

    `timeout` is in seconds. Raises BedError when the program is absent, takes longer than `timeout` or,
    with `check`, ends with another code than 0; the message carries the end of what it printed.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, input=stdin, capture_output=True, text=True, timeout=timeout, env=env, cwd=cwd, check=False
        )
    except FileNotFoundError as error:
        missing = error.filename or words[0]
        raise BedError(f"{missing} is not installed: run `python -m testbed deps` as root.") from error
    except subprocess.TimeoutExpired as error:
        raise BedError(f"`{' '.join(words)}` did not end within {timeout:g} s.") from error
    if check and done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise BedError(f"`{' '.join(words)}` failed with code {done.returncode}: {said}")
    return done


def wait_until(
    condition: Callable[[], bool],
    *,
    seconds: float,
    what: str,
    detail: Callable[[], str] = lambda: "",
    poll: float = POLL_SECONDS,
) -> None:
    """Return once `condition` holds; raise BedError with `what` and `detail()` when `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            raise BedError(f"{what} did not happen within {seconds:g} s. {detail()}".rstrip())
        time.sleep(poll)


def say(text: str) -> None:
    """Print one line of progress to standard error, so that standard output stays for results."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print `what` and the seconds it took once the block ends."""
    start = time.monotonic()
    try:
        yield
    except BaseException:
        say(f"  {what}: failed after {time.monotonic() - start:.1f} s")
        raise
    say(f"  {what}: {time.monotonic() - start:.1f} s")


def tail(path: Path, lines: int = 15) -> str:
    """Return the last lines of a log file, or an empty text when it does not exist."""
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
