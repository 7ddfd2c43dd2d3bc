"""The HTTP session under prometheus-api-client: bounded in time and bytes, without redirects.

Of bodies of errors it repeats what `refusals` lets through, and nothing else.
"""

import logging
import ssl
import time
from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from prometheus_api_client import PrometheusConnect
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.util.retry import Retry

from trimtab.api.datasource import Datasource
from trimtab.observe.credentials import FileAuth
from trimtab.observe.refusals import AWAY, is_partial, read_refusal
from trimtab.observe.source import SourceError, SourceReason

LOG = logging.getLogger(__name__)
CHUNK_BYTES = 64 << 10
MAX_ERROR_BYTES = 64 << 10


class BoundedSession(requests.Session):
    """A session whose every request ends: in time, after a number of bytes, and at the address asked."""

    def __init__(self, datasource: Datasource, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._name = datasource.name
        self._connect = min(datasource.connect_timeout_seconds, datasource.timeout_seconds)
        self._timeout = datasource.timeout_seconds
        self._max_bytes = datasource.max_response_bytes
        self._clock = clock
        self.trust_env = False  # no proxy, no netrc: an environment variable must not send tokens elsewhere
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.verify = False if datasource.insecure_skip_verify else str(datasource.ca_file or "") or True
        if datasource.client_cert_file is not None and datasource.client_key_file is not None:
            self.cert = (str(datasource.client_cert_file), str(datasource.client_key_file))

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """Send one request and read its whole body.

        The query goes into the body: it may be longer than a URL may be, and URLs end up in access logs.

        Raises:
            SourceError: always with a message of our own.
        """
        deadline = self._clock() + self._timeout
        kwargs["data"] = kwargs.pop("params", None)
        kwargs.update(stream=True, allow_redirects=False, timeout=(self._connect, self._timeout))
        try:
            response = super().request(method, url, *args, **kwargs)
            try:
                self._read(response, deadline)
            finally:
                response.close()
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise self._failure(error) from None  # the chained text would hold addresses
        return response

    def _read(self, response: requests.Response, deadline: float) -> None:
        """Read the body within the bounds, or raise what the status says."""
        ok = response.status_code == requests.codes.ok
        limit = self._max_bytes if ok else MAX_ERROR_BYTES
        body = bytearray()
        # read1 returns what one receive gave, so that a server that drips can't outlive the deadline.
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > limit:
                break
            if self._clock() > deadline:
                raise self._timed_out()
        else:
            response._content_consumed = True  # read to its end: the connection can serve again
        if not ok:
            raise self._refusal(response.status_code, bytes(body[:limit]))
        if len(body) > limit:
            raise SourceError(
                SourceReason.TOO_LARGE,
                f"Datasource {self._name} answered with more than {limit} bytes; aggregate with sum by (…), "
                "ask for a shorter range, or raise maxResponseBytes.",
            )
        response._content = bytes(body)
        if is_partial(response._content):
            raise SourceError(
                SourceReason.SERVER_ERROR,
                f"Datasource {self._name} gave a part of the answer, as a store behind it did not answer; see the "
                "server's log.",
            )

    def _timed_out(self) -> SourceError:
        return SourceError(
            SourceReason.TIMEOUT,
            f"Datasource {self._name} did not answer within {self._timeout:g} s; simplify the query or raise "
            "timeoutSeconds.",
        )

    def _failure(self, error: Exception) -> SourceError:
        nested = error.args[0] if error.args else None
        if isinstance(error, requests.Timeout | ReadTimeoutError | TimeoutError) or isinstance(
            nested, ReadTimeoutError
        ):
            return self._timed_out()
        if isinstance(error, requests.exceptions.SSLError | ssl.SSLError):
            return SourceError(
                SourceReason.UNREACHABLE,
                f"Datasource {self._name} failed the TLS handshake; check caFile and the server's certificate.",
            )
        return SourceError(
            SourceReason.UNREACHABLE,
            f"Datasource {self._name} can't be reached ({type(error).__name__}); check its url, the NetworkPolicy "
            "and that the server is up.",
        )

    def _refusal(self, status: int, body: bytes) -> SourceError:
        refusal = read_refusal(body)
        kind, said = refusal.kind, f"HTTP {status}" + (f", {refusal.kind}" if refusal.kind else "")
        name = self._name
        if 300 <= status < 400:
            return SourceError(
                SourceReason.REDIRECTED,
                f"Datasource {name} redirects ({said}), which is not followed; set its url to the final address.",
            )
        if status in {401, 403, 407}:
            return SourceError(
                SourceReason.UNAUTHORIZED,
                f"Datasource {name} refused the credentials ({said}); check its files.",
            )
        if status in {408, 504} or kind == "timeout":
            return SourceError(SourceReason.TIMEOUT, f"Datasource {name} timed out ({said}); simplify the query.")
        if status in {400, 422} and kind != AWAY:
            return SourceError(
                SourceReason.BAD_QUERY,
                f"Datasource {name} refused the query ({said}): {refusal.text}; correct the query."
                if refusal.text
                else f"Datasource {name} refused the query ({said}); run it by hand to see why.",
            )
        if status >= 500 or status == 429 or kind == AWAY:
            return SourceError(
                SourceReason.SERVER_ERROR,
                f"Datasource {name} can't answer now ({said}); see the server's log.",
            )
        return SourceError(
            SourceReason.BAD_ANSWER,
            f"Datasource {name} has no Prometheus query API at its url ({said}); check the path prefix.",
        )


def connect(datasource: Datasource) -> PrometheusConnect:
    """A prometheus-api-client on a bounded session; retries are the caller's, who knows the breaker."""
    if datasource.insecure_skip_verify:
        LOG.warning("datasource %s: certificates are not verified", datasource.name)
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    no_retries = Retry(total=0, redirect=False, raise_on_status=False)
    client = PrometheusConnect(
        url=datasource.url,
        auth=FileAuth(datasource),
        session=BoundedSession(datasource),
        retry=no_retries,
        method="POST",
    )
    client._session.mount(datasource.url, HTTPAdapter(pool_maxsize=datasource.max_concurrency, max_retries=no_retries))
    return client
