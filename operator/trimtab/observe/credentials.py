"""Tokens, headers and certificates from mounted files, read again when they change.

Kubernetes updates a mounted Secret by swapping a symlink, so a changed (inode, mtime, size) means new content.
"""

import threading
from pathlib import Path

from requests import PreparedRequest
from requests.auth import AuthBase

from trimtab.api.datasource import Datasource
from trimtab.observe.source import SourceError, SourceReason

MAX_SECRET_BYTES = 64 << 10
Fingerprint = tuple[tuple[int, int, int], ...]


def fingerprint(*paths: Path | None) -> Fingerprint:
    """What changes when one of the files does.

    Raises:
        SourceError: Unauthorized, when a file is missing.
    """
    marks = []
    for path in paths:
        if path is not None:
            try:
                stat = path.stat()
            except OSError as error:
                raise _unreadable(path) from error
            marks.append((stat.st_ino, stat.st_mtime_ns, stat.st_size))
    return tuple(marks)


def _unreadable(path: Path) -> SourceError:
    return SourceError(
        SourceReason.UNAUTHORIZED,
        f"The credential file {path} can't be read; check the mount in the chart's values.",
    )


class SecretFile:
    """The one line of a mounted file. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark: Fingerprint = ()
        self._text = ""
        self._lock = threading.Lock()

    def read(self) -> str:
        """The content without blanks around it.

        Raises:
            SourceError: Unauthorized, when the file can't be read, is empty, too long or no plain line of text.
        """
        with self._lock:
            mark = fingerprint(self._path)
            if mark != self._mark:
                self._text = self._load()
                self._mark = mark
            return self._text

    def _load(self) -> str:
        try:
            with self._path.open("rb") as file:
                raw = file.read(MAX_SECRET_BYTES + 1)
        except OSError as error:
            raise _unreadable(self._path) from error
        text = raw.strip().decode("latin-1")
        # A header holds one line of printable characters: anything else would inject further headers.
        if not text or len(raw) > MAX_SECRET_BYTES or any(not 0x20 <= ord(char) < 0x7F for char in text):
            raise SourceError(
                SourceReason.UNAUTHORIZED,
                f"The credential file {self._path} must hold one short line of printable ASCII; check the Secret.",
            )
        return text


class FileAuth(AuthBase):
    """Adds the headers of a datasource to each request, with their values of that moment."""

    def __init__(self, datasource: Datasource) -> None:
        self._headers: dict[str, SecretFile] = {
            name: SecretFile(path) for name, path in datasource.header_files.items()
        }
        self._token = None
        if datasource.bearer_token_file is not None:
            self._token = SecretFile(datasource.bearer_token_file)
        self._tenant = datasource.tenant_header

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Set the headers on one request."""
        for name, file in self._headers.items():
            request.headers[name] = file.read()
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token.read()}"
        if self._tenant is not None:
            request.headers[self._tenant.name] = self._tenant.value
        return request
