"""Credentials of the Prometheus source: mounted files, TLS, and nothing from the environment."""

import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.observe.fakes import Exchange, http_server
from tests.unit.observe.sources import ONE, source_at
from trimtab.api.datasource import TenantHeader
from trimtab.observe.source import SourceError, SourceReason


async def test_plain_http_where_tls_is_asked_for_says_so() -> None:
    with http_server(lambda exchange: exchange.send(200, ONE)) as url:
        async with source_at(url.replace("http://", "https://")) as source:
            with pytest.raises(SourceError, match="TLS") as caught:
                await source.query("up", 1.0)
    assert caught.value.reason is SourceReason.UNREACHABLE


async def test_tokens_and_headers_come_from_files_and_follow_their_changes(tmp_path: Path) -> None:
    token, key = tmp_path / "token", tmp_path / "key"
    token.write_text("first\n")
    key.write_text("k1")
    seen: list[tuple[str | None, ...]] = []

    def answer(exchange: Exchange) -> None:
        seen.append(tuple(exchange.headers.get(name) for name in ("Authorization", "X-Api-Key", "X-Scope-OrgID")))
        exchange.send(200, ONE)

    with http_server(answer) as url:
        settings: dict[str, Any] = {
            "bearer_token_file": token,
            "header_files": {"X-Api-Key": key},
            "tenant_header": TenantHeader(value="team-a"),
        }
        async with source_at(url, **settings) as source:
            await source.query("up", 1.0)
            renewed = tmp_path / "renewed"
            renewed.write_text("second")
            renewed.rename(token)
            await source.query("up", 1.0)
            token.unlink()
            with pytest.raises(SourceError, match="credential file") as caught:
                await source.query("up", 1.0)
    assert seen == [("Bearer first", "k1", "team-a"), ("Bearer second", "k1", "team-a")]
    assert caught.value.reason is SourceReason.UNAUTHORIZED


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines", b"caf\xe9", b"x" * 70_000, b"a\x00b"])
async def test_a_credential_file_that_is_no_plain_line_is_refused_and_not_repeated(
    tmp_path: Path, content: bytes
) -> None:
    token = tmp_path / "token"
    token.write_bytes(content)
    async with source_at("http://127.0.0.1:9", bearer_token_file=token) as source:
        with pytest.raises(SourceError, match="one short line") as caught:
            await source.query("up", 1.0)
    assert caught.value.reason is SourceReason.UNAUTHORIZED


async def test_proxies_and_netrc_of_the_environment_are_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password leak\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    seen: list[str | None] = []

    def answer(exchange: Exchange) -> None:
        seen.append(exchange.headers.get("Authorization"))
        exchange.send(200, ONE)

    with http_server(answer) as url:
        async with source_at(url) as source:
            await source.query("up", 1.0)
    assert seen == [None]


async def test_a_missing_ca_file_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    async with source_at("https://127.0.0.1:9", ca_file=tmp_path / "ca.crt") as source:
        with pytest.raises(SourceError, match="check the mount"):
            await source.query("up", 1.0)


async def test_cookies_of_the_server_are_not_kept() -> None:
    seen: list[str | None] = []

    def answer(exchange: Exchange) -> None:
        seen.append(exchange.headers.get("Cookie"))
        exchange.send(200, ONE, Set_Cookie="session=1")

    with http_server(answer) as url:
        async with source_at(url) as source:
            await source.query("up", 1.0)
            await source.query("up", 1.0)
    assert seen == [None, None]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two certificate authorities, a server's certificate of the first, and a client's."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    for name in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt",
                "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1")
    for name in ("server", "client"):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-keyout", f"{name}.key", "-out", f"{name}.csr")  # fmt: skip
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "2",
                "-CAcreateserial", "-extfile", "san", "-out", f"{name}.crt")  # fmt: skip
    return folder


def mutual_tls(authority: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.crt", authority / "server.key")
    context.load_verify_locations(authority / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


async def test_a_private_authority_and_a_client_certificate_are_used_and_followed_when_they_change(
    authority: Path, tmp_path: Path
) -> None:
    trusted = tmp_path / "ca.crt"
    trusted.write_bytes((authority / "other.crt").read_bytes())
    settings: dict[str, Any] = {
        "ca_file": trusted,
        "client_cert_file": authority / "client.crt",
        "client_key_file": authority / "client.key",
    }
    with http_server(lambda exchange: exchange.send(200, ONE), mutual_tls(authority)) as url:
        async with source_at(url, **settings) as source:
            with pytest.raises(SourceError, match="TLS"):
                await source.query("up", 1.0)
            renewed = tmp_path / "renewed"
            renewed.write_bytes((authority / "ca.crt").read_bytes())
            renewed.rename(trusted)
            assert len(await source.query("up", 1.0)) == 1
        async with source_at(url, ca_file=trusted) as source:
            with pytest.raises(SourceError) as caught:  # no client certificate
                await source.query("up", 1.0)
    assert caught.value.reason is SourceReason.UNREACHABLE


async def test_certificates_are_checked_unless_the_administrator_says_otherwise(authority: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.crt", authority / "server.key")
    with http_server(lambda exchange: exchange.send(200, ONE), context) as url:
        async with source_at(url) as source:
            with pytest.raises(SourceError, match="TLS"):
                await source.query("up", 1.0)
        async with source_at(url, insecure_skip_verify=True) as source:
            assert len(await source.query("up", 1.0)) == 1
