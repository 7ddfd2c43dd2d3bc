"""Where the API server is and who we are: kubernetes.aio's configuration, read again when it is refused."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import ssl
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import yarl
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import load_incluster_config, load_kube_config

from trimtab.kube.errors import Unavailable

RELOAD_SECONDS = 10.0
"""Least time between two reloads: revoked credentials must not run an exec plugin for each request."""


class Credentials:
    """Host, TLS and token of one API server.

    kubernetes.aio re-reads a service account's token every minute by itself. `reload` reads everything again
    (exec plugin, token file, client certificate, CA); the client calls it when the server refuses us or we
    it.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        kubeconfig: Path | None = None,
        context: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._configuration = configuration
        self._kubeconfig = kubeconfig
        self._context = context
        self._clock = clock
        self._lock = asyncio.Lock()
        self._reloaded_at = clock()
        self.host: str = configuration.host.rstrip("/")
        self.ssl_context = _ssl_context(configuration)
        self.server_hostname: str | None = configuration.tls_server_name or None
        self.proxy = _proxy(configuration, self.host, from_environment=kubeconfig is not None)

    @classmethod
    async def load(cls, kubeconfig: Path | None = None, context: str | None = None) -> Credentials:
        """Read the credentials. Order: `kubeconfig`, $KUBECONFIG, the pod's service account, ~/.kube/config.

        Raises:
            Unavailable: they cannot be read; the message names the file.
        """
        if kubeconfig is None and os.environ.get("KUBECONFIG"):
            kubeconfig = Path(os.environ["KUBECONFIG"])
        if kubeconfig is None and not os.environ.get("KUBERNETES_SERVICE_HOST"):
            kubeconfig = Path("~/.kube/config")
        configuration = Configuration()
        try:
            await _read(configuration, kubeconfig, context)
            return cls(configuration, kubeconfig=kubeconfig, context=context)
        except Exception as error:  # a malformed kubeconfig makes the library raise nearly anything
            where = str(kubeconfig) if kubeconfig else "the pod's service account"
            raise Unavailable(0, "NoCredentials", f"cannot read credentials from {where}: {error}") from error

    async def headers(self) -> dict[str, str]:
        """The Authorization header; none with a client certificate. Raises Unavailable: no readable token."""
        try:
            token = await self._configuration.get_api_key_with_prefix("BearerToken")
        except Exception as error:  # the library's hook reads a file: ConfigException, OSError, UnicodeError
            raise Unavailable(0, "NoCredentials", f"cannot read the token: {error}") from error
        if not token:
            return {}
        # A token file usually ends with a newline, which no HTTP header may carry.
        token = token.strip()
        if not token.isprintable():
            raise Unavailable(0, "NoCredentials", "the token has a control character in it; write it anew")
        return {"Authorization": token}

    async def reload(self) -> bool:
        """Read everything again. False when that was done a moment ago, or cannot be done now."""
        async with self._lock:
            if self._clock() - self._reloaded_at < RELOAD_SECONDS:
                return False
            self._reloaded_at = self._clock()
            try:
                await _read(self._configuration, self._kubeconfig, self._context)
                self.ssl_context = _ssl_context(self._configuration)
            except Exception:  # what we have stays in use; the refused request reports the refusal
                return False
            return True


async def _read(configuration: Configuration, kubeconfig: Path | None, context: str | None) -> None:
    if kubeconfig is None:
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        return
    # persist_config=False: never write to a user's kubeconfig.
    await load_kube_config(  # type: ignore[no-untyped-call]
        config_file=str(kubeconfig),
        context=context,
        client_configuration=configuration,
        persist_config=False,
    )


def _ssl_context(configuration: Configuration) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert, cadata=configuration.ca_cert_data)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _proxy(configuration: Configuration, host: str, *, from_environment: bool) -> str | None:
    """The kubeconfig's proxy-url, else HTTPS_PROXY, as client-go does.

    Inside a cluster the environment is not asked: the API server is a neighbour there, and Python's NO_PROXY
    knows no CIDR, which is how clusters exclude their Service range.
    """
    if configuration.proxy:
        return str(configuration.proxy)
    url = yarl.URL(host)
    name = url.host or ""
    if not from_environment or _is_loopback(name) or urllib.request.proxy_bypass(name):
        return None
    return urllib.request.getproxies().get(url.scheme)


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
