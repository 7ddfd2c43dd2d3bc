from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import certifi
import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from tests.unit.kube.fakes import FakeApi, status
from trimtab.kube import errors
from trimtab.kube.client import KubeClient
from trimtab.kube.credentials import RELOAD_SECONDS, Credentials

SERVICE = "kubernetes.aio.config.incluster_config"


def kubeconfig(folder: Path, server: str, user: dict[str, Any], **cluster: Any) -> Path:
    path = folder / "config"
    content = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": server} | cluster}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(json.dumps(content))
    return path


async def accept_second(request: web.Request) -> web.Response:
    if request.headers.get("Authorization") != "Bearer second":
        return status(401, "Unauthorized")
    return web.json_response({"ok": True})


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (
        "KUBECONFIG",
        "KUBERNETES_SERVICE_HOST",
        "HTTPS_PROXY",
        "https_proxy",
        "NO_PROXY",
        "no_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


async def test_a_refused_token_is_read_again_and_the_request_repeated_once(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    now = 0.0
    async with FakeApi(accept_second) as api:
        path = kubeconfig(tmp_path, api.host, {"tokenFile": str(token)})
        credentials = await Credentials.load(path)
        credentials._clock = lambda: now
        credentials._reloaded_at = 0.0
        async with KubeClient(credentials) as client:
            now = RELOAD_SECONDS
            with pytest.raises(errors.Unauthorized):
                await client.get("/x")
            assert len(api.seen) == 2
            # Read a moment ago: not again.
            with pytest.raises(errors.Unauthorized):
                await client.get("/x")
            assert len(api.seen) == 3
            token.write_text("second\n")
            now = 2 * RELOAD_SECONDS
            assert await client.get("/x") == {"ok": True}
            assert len(api.seen) == 5


async def test_a_kubeconfig_that_vanished_leaves_the_credentials_as_they_were(tmp_path: Path) -> None:
    async with FakeApi(accept_second) as api:
        path = kubeconfig(tmp_path, api.host, {"token": "second"})
        credentials = await Credentials.load(path)
        credentials._reloaded_at = float("-inf")
        path.unlink()
        assert not await credentials.reload()
        assert await credentials.headers() == {"Authorization": "Bearer second"}


async def test_a_service_account_is_read_and_its_token_read_again(tmp_path: Path, outside: pytest.MonkeyPatch) -> None:
    token = tmp_path / "token"
    token.write_text("one\n")
    outside.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    outside.setenv("KUBERNETES_SERVICE_PORT", "443")
    outside.setenv("HTTPS_PROXY", "http://proxy:1")
    outside.setattr(f"{SERVICE}.SERVICE_TOKEN_FILENAME", str(token))
    outside.setattr(f"{SERVICE}.SERVICE_CERT_FILENAME", certifi.where())
    credentials = await Credentials.load()
    assert credentials.host == "https://[fd00::1]:443"
    assert credentials.proxy is None
    assert await credentials.headers() == {"Authorization": "bearer one"}
    token.write_text("two\n")
    credentials._reloaded_at = float("-inf")
    assert await credentials.reload()
    assert await credentials.headers() == {"Authorization": "bearer two"}


@pytest.mark.parametrize("content", [None, "", "{", "[]", "current-context: x", "\x00", "a: b: c"])
async def test_a_kubeconfig_that_cannot_be_read_is_named(
    tmp_path: Path, outside: pytest.MonkeyPatch, content: str | None
) -> None:
    path = tmp_path / "broken"
    if content is not None:
        path.write_text(content)
    outside.setenv("KUBECONFIG", str(path))
    with pytest.raises(errors.Unavailable, match="broken") as caught:
        await KubeClient.connect()
    assert caught.value.reason == "NoCredentials"


async def test_a_token_that_would_break_the_header_is_refused() -> None:
    configuration = Configuration(host="http://127.0.0.1:1", api_key={"BearerToken": "a\r\nX-Evil: 1"})
    with pytest.raises(errors.Unavailable, match="control character"):
        await Credentials(configuration).headers()


async def test_an_unreadable_token_is_unavailable() -> None:
    configuration = Configuration(host="http://127.0.0.1:1", api_key={"BearerToken": "a"})

    def vanish(_: Configuration) -> None:
        raise FileNotFoundError("token")

    setattr(configuration, "refresh_api_key_hook", vanish)  # noqa: B010  (typed as None by the library)
    async with KubeClient(Credentials(configuration)) as client:
        with pytest.raises(errors.Unavailable, match="token"):
            await client.get("/x")


@pytest.mark.parametrize(
    ("server", "environment", "proxy"),
    [
        ("http://k8s.example", {"HTTP_PROXY": "http://proxy:1"}, "http://proxy:1"),
        ("http://k8s.example", {"HTTP_PROXY": "http://proxy:1", "NO_PROXY": ".example"}, None),
        ("http://127.0.0.1:6443", {"HTTP_PROXY": "http://proxy:1"}, None),
        ("http://localhost:6443", {"HTTP_PROXY": "http://proxy:1"}, None),
        ("http://k8s.example", {}, None),
    ],
)
async def test_a_proxy_is_taken_from_the_environment_as_kubectl_does(
    tmp_path: Path, outside: pytest.MonkeyPatch, server: str, environment: dict[str, str], proxy: str | None
) -> None:
    for name, value in environment.items():
        outside.setenv(name, value)
    credentials = await Credentials.load(kubeconfig(tmp_path, server, {}))
    assert credentials.proxy == proxy


async def test_a_kubeconfigs_proxy_and_tls_settings_are_used(tmp_path: Path, outside: pytest.MonkeyPatch) -> None:
    path = kubeconfig(
        tmp_path,
        "https://k8s.example/",
        {},
        **{"proxy-url": "http://p:2", "insecure-skip-tls-verify": True, "tls-server-name": "inner"},
    )
    credentials = await Credentials.load(path)
    assert credentials.proxy == "http://p:2"
    assert credentials.host == "https://k8s.example"
    assert credentials.server_hostname == "inner"
    assert not credentials.ssl_context.check_hostname
