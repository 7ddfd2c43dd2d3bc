"""Running kubectl, helm and others, with errors that say what failed."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parent.parent


class DemoError(Exception):
    """The demo can't go on; the message says why and what to do."""


@dataclass(frozen=True)
class Tools:
    """Commands with the environment that reaches the cluster (KUBECONFIG, PATH)."""

    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def need(self, *programs: str) -> None:
        """Stop before anything is begun where programs are missing.

        Raises:
            DemoError: it names all that are.
        """
        lacking = [program for program in programs if shutil.which(program, path=self.env.get("PATH")) is None]
        if lacking:
            raise DemoError(f"Not installed: {', '.join(lacking)}. Install what is missing, or use CLUSTER=testbed.")

    def run(
        self, *command: str | Path, text: str | None = None, timeout: float = 120, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command and capture what it prints.

        Raises:
            DemoError: it is missing, takes too long, or fails while `check` is set.
        """
        words = [str(word) for word in command]
        try:
            done = subprocess.run(
                words, input=text, capture_output=True, text=True, timeout=timeout, env=dict(self.env), check=False
            )
        except FileNotFoundError as error:
            raise DemoError(f"{words[0]} is not installed; install it, or use CLUSTER=testbed.") from error
        except subprocess.TimeoutExpired as error:
            raise DemoError(f"`{' '.join(words[:6])} …` did not end within {timeout:.0f} s.") from error
        if check and done.returncode != 0:
            raise DemoError(f"`{' '.join(words[:8])}` failed: {(done.stderr or done.stdout).strip()[-1500:]}")
        return done

    def kubectl(self, *arguments: str, text: str | None = None, timeout: float = 60) -> str:
        """What kubectl prints."""
        return self.run("kubectl", *arguments, text=text, timeout=timeout).stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get … -o json`, decoded; an empty object when it can't be had now."""
        return self.ask("kubectl", "get", *arguments, "-o", "json")

    def ask(self, *command: str) -> dict[str, Any]:
        """What a command prints, decoded; an empty object when it fails or takes long: the next look will see more."""
        try:
            done = self.run(*command, timeout=15, check=False)
            found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
        except (DemoError, json.JSONDecodeError):
            return {}
        return found

    def follow(self, *command: str) -> subprocess.Popen[str]:
        """Start a command whose output is read line by line."""
        return subprocess.Popen(
            list(command), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=dict(self.env)
        )


def unready(tools: Tools, namespace: str) -> str:
    """Why pods of the namespace are not ready: a paragraph for each, with the last words of its containers."""
    told = []
    for pod in tools.get("pods", "-n", namespace).get("items", []):
        name, status = pod["metadata"]["name"], pod.get("status", {})
        for one in status.get("containerStatuses", []):
            if one.get("ready"):
                continue
            state = one.get("state", {})
            why = state.get("waiting") or state.get("terminated") or {}
            told.append(
                f"Pod {name}, container {one['name']}: {why.get('reason', 'not ready')} {why.get('message', '')}"
            )
            flags = ("--tail=5", "--previous") if one.get("restartCount") else ("--tail=5",)
            with suppress(DemoError):
                told.append(tools.kubectl("logs", name, "-n", namespace, "-c", one["name"], *flags))
        if not status.get("containerStatuses"):
            conditions = [one.get("message", "") for one in status.get("conditions", []) if one.get("status") != "True"]
            told.append(f"Pod {name}: {status.get('phase', 'unknown')} {' '.join(filter(None, conditions))}")
    return "\n".join(line.strip() for line in told)


def say(message: str) -> None:
    """One line of progress."""
    print(message, flush=True)


class Step:
    """Context manager that prints what is being done and how long it took."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        self._began = time.monotonic()
        print(f"  {self._what} … ", end="", flush=True)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        print("failed" if kind else f"{time.monotonic() - self._began:.0f} s", flush=True)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned text; the first is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
