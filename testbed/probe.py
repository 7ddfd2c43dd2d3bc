"""Asking a process of the bed over HTTP whether it is ready."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from pathlib import Path

TIMEOUT_SECONDS = 2.0
# The machine's own proxy settings are not for addresses of the bed.
_NO_PROXY = urllib.request.ProxyHandler({})


def answers(url: str, authority: Path | None = None) -> bool:
    """Tell whether a GET of `url` is answered with 200; `authority` is the CA's file for https."""
    handlers: list[urllib.request.BaseHandler] = [_NO_PROXY]
    if authority is not None:
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=authority)))
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=TIMEOUT_SECONDS) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
