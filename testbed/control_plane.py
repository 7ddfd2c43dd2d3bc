"""etcd, API server, controller-manager and scheduler of a bed."""

from __future__ import annotations

from testbed.bed import API_PORT, Bed
from testbed.probe import answers
from testbed.processes import running, start, wait_ready
from testbed.run import step, wait_until

ETCD = "http://127.0.0.1:2379"
ETCD_PEER = "http://127.0.0.1:2380"
ISSUER = "https://kubernetes.default.svc.cluster.local"


def start_api(bed: Bed) -> None:
    """Start what level `api` has, and return once a namespace's default service account is made."""
    if not running(bed, "etcd"):
        with step("etcd"):
            _start_etcd(bed)
    if not running(bed, "kube-apiserver"):
        with step("kube-apiserver"):
            _start_api_server(bed)
    if not running(bed, "kube-controller-manager"):
        with step("kube-controller-manager"):
            _start_controller_manager(bed)


def start_scheduler(bed: Bed) -> None:
    """Start the scheduler; its /metrics/resources gives requests and limits per pod."""
    kubeconfig = bed.path("kubeconfig", "scheduler.json")
    with step("kube-scheduler"):
        start(
            bed,
            "kube-scheduler",
            [
                bed.bin_dir / "kube-scheduler",
                f"--kubeconfig={kubeconfig}",
                f"--authentication-kubeconfig={kubeconfig}",
                f"--authorization-kubeconfig={kubeconfig}",
                f"--bind-address={bed.address}",
                f"--tls-cert-file={bed.path('pki', 'scheduler-server.crt')}",
                f"--tls-private-key-file={bed.path('pki', 'scheduler-server.key')}",
                "--kube-api-qps=500",  # the default of 20 would be most of the starting time
                "--kube-api-burst=500",
                "--leader-elect=false",
            ],
        )
        authority = bed.path("pki", "ca.crt")
        wait_ready(bed, "kube-scheduler", lambda: answers(f"https://{bed.address}:10259/readyz", authority))


def _start_etcd(bed: Bed) -> None:
    start(
        bed,
        "etcd",
        [
            bed.bin_dir / "etcd",
            f"--data-dir={bed.path('etcd')}",
            f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}",
            f"--listen-peer-urls={ETCD_PEER}",
            f"--initial-advertise-peer-urls={ETCD_PEER}",
            f"--initial-cluster=default={ETCD_PEER}",
            f"--listen-metrics-urls={_etcd_health(bed)}",
            "--unsafe-no-fsync",  # the bed's data need not outlive the machine
            "--quota-backend-bytes=8589934592",
            "--log-level=warn",
        ],
    )
    wait_ready(bed, "etcd", lambda: answers(f"{_etcd_health(bed)}/health"))


def _etcd_health(bed: Bed) -> str:
    return f"http://{bed.address}:2381"


def _start_api_server(bed: Bed) -> None:
    pki = bed.path("pki")
    start(
        bed,
        "kube-apiserver",
        [
            bed.bin_dir / "kube-apiserver",
            f"--etcd-servers={ETCD}",
            "--bind-address=0.0.0.0",
            f"--secure-port={API_PORT}",
            f"--advertise-address={bed.address}",
            f"--service-cluster-ip-range={bed.service_range}",
            f"--service-account-issuer={ISSUER}",
            f"--service-account-key-file={pki / 'service-account.pub'}",
            f"--service-account-signing-key-file={pki / 'service-account.key'}",
            f"--client-ca-file={pki / 'ca.crt'}",
            f"--tls-cert-file={pki / 'apiserver.crt'}",
            f"--tls-private-key-file={pki / 'apiserver.key'}",
            f"--kubelet-certificate-authority={pki / 'ca.crt'}",
            f"--kubelet-client-certificate={pki / 'apiserver-kubelet.crt'}",
            f"--kubelet-client-key={pki / 'apiserver-kubelet.key'}",
            "--kubelet-preferred-address-types=InternalIP",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
        ],
    )
    wait_ready(bed, "kube-apiserver", lambda: answers(f"{bed.api_url}/readyz", pki / "ca.crt"))


def _start_controller_manager(bed: Bed) -> None:
    start(
        bed,
        "kube-controller-manager",
        [
            bed.bin_dir / "kube-controller-manager",
            f"--kubeconfig={bed.path('kubeconfig', 'controller-manager.json')}",
            f"--service-account-private-key-file={bed.path('pki', 'service-account.key')}",
            f"--root-ca-file={bed.path('pki', 'ca.crt')}",
            f"--flex-volume-plugin-dir={bed.path('volume-plugins')}",
            "--use-service-account-credentials=true",
            "--bind-address=127.0.0.1",
            "--kube-api-qps=500",  # the default of 20 would be most of the starting time
            "--kube-api-burst=500",
            "--leader-elect=false",
        ],
    )

    def default_account() -> bool:
        found = bed.kubectl("get", "serviceaccount", "default", "--ignore-not-found", "--output=name")
        return bool(found.strip())

    wait_until(default_account, seconds=60, what="The service account `default`")
