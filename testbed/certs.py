"""Certificates and kubeconfigs of a bed, made with the openssl program."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from testbed.bed import API_PORT, Bed
from testbed.run import run

DAYS = "365"
ADMINS = "system:masters"
# file name → (common name, organisation): Kubernetes reads them as user and group
CLIENTS = {
    "admin": ("testbed-admin", ADMINS),
    "apiserver-kubelet": ("kube-apiserver-kubelet-client", ADMINS),
    "controller-manager": ("system:kube-controller-manager", "testbed"),
    "scheduler": ("system:kube-scheduler", "testbed"),
    "kube-proxy": ("system:kube-proxy", "testbed"),
    "coredns": ("coredns", "testbed"),
}


def make_certificates(bed: Bed) -> None:
    """Write the authority, server and client certificates and the kubeconfigs into the bed's folder."""
    folder = bed.path("pki")
    folder.mkdir(mode=0o700, exist_ok=True)
    bed.kubeconfig.parent.mkdir(mode=0o700, exist_ok=True)
    _key(folder / "ca.key")
    subject = ("-days", DAYS, "-subj", f"/CN=trimtab-testbed-{bed.name}")
    usage = ("-addext", "keyUsage=critical,keyCertSign,digitalSignature")
    run(["openssl", "req", "-x509", "-new", "-key", folder / "ca.key", *subject, *usage, "-out", folder / "ca.crt"])
    _key(folder / "service-account.key")
    public = folder / "service-account.pub"
    run(["openssl", "pkey", "-in", folder / "service-account.key", "-pubout", "-out", public])
    _server(bed, "apiserver", "kube-apiserver", _api_names(bed))
    local = ["DNS:localhost", "IP:127.0.0.1", f"IP:{bed.address}"]
    _server(bed, "kubelet-server", bed.node, [f"DNS:{bed.node}", *local])
    _server(bed, "scheduler-server", "kube-scheduler", local)
    for name, (user, group) in CLIENTS.items():
        _client(bed, name, user, group)
    _client(bed, "kubelet", f"system:node:{bed.node}", "system:nodes")


def _api_names(bed: Bed) -> list[str]:
    names = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ]
    addresses = ["127.0.0.1", bed.address, bed.api_cluster_ip]
    return [f"DNS:{name}" for name in [*names, "localhost"]] + [f"IP:{address}" for address in addresses]


def _key(path: Path) -> None:
    run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path])
    path.chmod(0o600)


def _server(bed: Bed, name: str, common_name: str, names: list[str]) -> None:
    _issue(bed, name, f"/CN={common_name}", f"extendedKeyUsage=serverAuth\nsubjectAltName={','.join(names)}\n")


def _client(bed: Bed, name: str, user: str, group: str) -> None:
    _issue(bed, name, f"/O={group}/CN={user}", "extendedKeyUsage=clientAuth\n")
    _kubeconfig(bed, name, user)


def _issue(bed: Bed, name: str, subject: str, extensions: str) -> None:
    folder = bed.path("pki")
    key, request, extra = folder / f"{name}.key", folder / f"{name}.csr", folder / f"{name}.ext"
    _key(key)
    extra.write_text("basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n" + extensions)
    run(["openssl", "req", "-new", "-key", key, "-subj", subject, "-out", request])
    authority = ("-CA", folder / "ca.crt", "-CAkey", folder / "ca.key", "-CAcreateserial")
    output = ("-days", DAYS, "-extfile", extra, "-out", folder / f"{name}.crt")
    run(["openssl", "x509", "-req", "-in", request, *authority, *output])
    request.unlink()
    extra.unlink()


def _kubeconfig(bed: Bed, name: str, user: str) -> None:
    """Write a kubeconfig (JSON is YAML) that holds its certificates, so that it can be copied on its own."""

    def data(file: str) -> str:
        return base64.b64encode(bed.path("pki", file).read_bytes()).decode()

    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": bed.tag,
                "cluster": {
                    "server": f"https://{bed.address}:{API_PORT}",
                    "certificate-authority-data": data("ca.crt"),
                },
            }
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": data(f"{name}.crt"),
                    "client-key-data": data(f"{name}.key"),
                },
            }
        ],
        "contexts": [{"name": bed.tag, "context": {"cluster": bed.tag, "user": user}}],
        "current-context": bed.tag,
    }
    path = bed.path("kubeconfig", f"{name}.json")
    path.write_text(json.dumps(config, indent=1) + "\n")
    path.chmod(0o600)
