"""The node of a bed: containerd, kubelet, kube-proxy and DNS."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template
from typing import Any

from testbed import net, sysctls
from testbed.bed import Bed
from testbed.check import CNI_PLUGINS
from testbed.images import PAUSE_IMAGE, load_pause
from testbed.probe import answers
from testbed.processes import running, start, wait_ready
from testbed.run import run, step, wait_until

MANIFESTS = Path(__file__).parent / "manifests"
DNS_PORT = 53
DNS_READY_PORT = 8181
MAX_PODS = 200  # the pods' /24 holds 254


def start_node(bed: Bed, scrape_seconds: int) -> None:
    """Start what makes pods run, and return once the node is Ready and names are answered.

    `scrape_seconds` is how often cAdvisor reads the cgroups: no use in scraping it more often than that.
    """
    net.confine_pods(bed)
    if not running(bed, "containerd"):
        with step("containerd"):
            _start_containerd(bed)
        with step("image pause"):
            load_pause(bed)
    if not running(bed, "kubelet"):
        sysctls.keep()
        _start_kubelet(bed, scrape_seconds)
    if not running(bed, "kube-proxy"):
        with step("kube-proxy"):
            _start_kube_proxy(bed)
    if not running(bed, "coredns"):
        with step("coredns"):
            _start_dns(bed)
    with step("node Ready"):
        wait_until(lambda: _node_ready(bed), seconds=90, what=f"Node {bed.node} becoming Ready")


def apply_manifest(bed: Bed, name: str, **values: str) -> None:
    """Apply manifests/`name`, with `$NAME` replaced by each of `values`."""
    text = Template((MANIFESTS / name).read_text()).substitute(values)
    bed.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", input=text)


def _toml(value: object) -> str:
    """Return `value` as a TOML basic string (JSON's escapes are a subset of TOML's)."""
    return json.dumps(str(value))


def _start_containerd(bed: Bed) -> None:
    config = bed.path("containerd.toml")
    cni = bed.path("cni")
    cni.mkdir(exist_ok=True)
    config.write_text(
        f"""version = 2
root = {_toml(bed.path("containerd", "root"))}
state = {_toml(bed.path("containerd", "state"))}

[grpc]
address = {_toml(bed.containerd_socket)}

[plugins."io.containerd.internal.v1.opt"]
path = {_toml(bed.path("containerd", "opt"))}

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = {_toml(PAUSE_IMAGE)}
netns_mounts_under_state_dir = true
# Machines without CAP_SYS_RESOURCE cannot lower a score: runc would fail on the pause container.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = {_toml(CNI_PLUGINS)}
conf_dir = {_toml(cni)}

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
Root = {_toml(bed.path("runc"))}
"""
    )
    # Each pod gets a routed link of its own (ptp), not a port of a bridge: replies of a pod to a pod then pass
    # the node's connection tracking, which Services need, without the kernel module br_netfilter.
    address = {
        "type": "host-local",
        "dataDir": str(bed.path("cni-addresses")),
        "ranges": [[{"subnet": bed.pod_range}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugin = {"type": "ptp", "ipMasq": False, "ipam": address}
    (cni / "10-pods.conflist").write_text(
        json.dumps({"cniVersion": "1.0.0", "name": bed.tag, "plugins": [plugin]}, indent=1)
    )
    start(bed, "containerd", ["containerd", "--config", config])
    version = ["ctr", "--address", str(bed.containerd_socket), "version"]
    wait_ready(bed, "containerd", lambda: run(version, check=False).returncode == 0)


def _kubelet_config(bed: Bed) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": bed.address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(bed.path("pki", "ca.crt"))},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(bed.path("pki", "kubelet-server.crt")),
        "tlsPrivateKeyFile": str(bed.path("pki", "kubelet-server.key")),
        "containerRuntimeEndpoint": f"unix://{bed.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{bed.tag}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": ["pods"],
        "clusterDNS": [bed.address],
        "clusterDomain": "cluster.local",
        "resolvConf": str(bed.path("resolv.conf")),
        "podLogsDir": str(bed.path("pod-logs")),
        "volumePluginDir": str(bed.path("volume-plugins")),
        "maxPods": MAX_PODS,
        "serializeImagePulls": False,
        # There is no registry to get an image back from, and the machine's disk is not the bed's to judge.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    }


def _start_kubelet(bed: Bed, housekeeping_seconds: int) -> None:
    bed.path("resolv.conf").write_text("")
    config = bed.path("kubelet.json")
    config.write_text(json.dumps(_kubelet_config(bed), indent=1) + "\n")
    start(
        bed,
        "kubelet",
        [
            bed.bin_dir / "kubelet",
            f"--config={config}",
            f"--kubeconfig={bed.path('kubeconfig', 'kubelet.json')}",
            f"--root-dir={bed.path('kubelet')}",
            f"--cert-dir={bed.path('pki')}",
            f"--hostname-override={bed.node}",
            f"--node-ip={bed.address}",
            f"--containerd={bed.containerd_socket}",  # else cAdvisor's series have no pod and container labels
            f"--housekeeping-interval={housekeeping_seconds}s",
        ],
    )


def _node_ready(bed: Bed) -> bool:
    if not running(bed, "kubelet"):
        wait_ready(bed, "kubelet", lambda: False)  # raises with the log
    condition = '{.status.conditions[?(@.type=="Ready")].status}'
    query = ("get", "node", bed.node, "--ignore-not-found", f"--output=jsonpath={condition}")
    return bed.kubectl(*query).strip() == "True"


def _start_kube_proxy(bed: Bed) -> None:
    config = bed.path("kube-proxy.json")
    config.write_text(
        json.dumps(
            {
                "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
                "kind": "KubeProxyConfiguration",
                "mode": "nftables",
                "clientConnection": {"kubeconfig": str(bed.path("kubeconfig", "kube-proxy.json"))},
                "hostnameOverride": bed.node,
                "clusterCIDR": bed.pod_range,
                "nodePortAddresses": ["primary"],
                # These sizes belong to the machine; 0 leaves them alone.
                "conntrack": {
                    "maxPerCore": 0,
                    "min": 0,
                    "tcpEstablishedTimeout": "0s",
                    "tcpCloseWaitTimeout": "0s",
                },
            },
            indent=1,
        )
    )
    start(bed, "kube-proxy", [bed.bin_dir / "kube-proxy", f"--config={config}"])
    health = "http://127.0.0.1:10256/livez"
    check = bed.inside("curl", "--silent", "--fail", "--max-time", "2", health)
    wait_ready(bed, "kube-proxy", lambda: run(check, check=False).returncode == 0)


def _start_dns(bed: Bed) -> None:
    apply_manifest(bed, "coredns.yaml")
    corefile = bed.path("Corefile")
    corefile.write_text(
        f""".:{DNS_PORT} {{
    bind {bed.address}
    errors
    ready {bed.address}:{DNS_READY_PORT}
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {bed.path("kubeconfig", "coredns.json")}
    }}
    cache 5
}}
"""
    )
    start(bed, "coredns", [bed.bin_dir / "coredns", "-conf", corefile])
    wait_ready(bed, "coredns", lambda: answers(f"http://{bed.address}:{DNS_READY_PORT}/ready"))
