"""The bed's network: a namespace, one link to the host, routes to pods and Services."""

from __future__ import annotations

import fcntl
import ipaddress
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.bed import (
    BEDS_AT_ONCE,
    Bed,
    Level,
    boot_id,
    host_interface_of,
    known_names,
    load,
    state_root,
    tag_of,
)
from testbed.run import BedError, run, wait_until

OCTETS = range(213, 240)  # second octets of 10.x that are tried, in this order
NAMESPACES = Path("/run/netns")


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock called `name` in the state folder: one `up` or `down` of a bed at a time."""
    folder = state_root() / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def allocate(name: str, level: Level) -> Bed:
    """Choose addresses that neither another bed nor a route of this machine uses, and record the bed.

    Raises BedError when all are taken.
    """
    with locked(".addresses"):
        others = [bed for bed in (load(other) for other in known_names() if other != name) if bed is not None]
        taken = {(bed.octet, bed.network) for bed in others}
        routes = _routed_networks()
        for octet in OCTETS:
            for network in range(BEDS_AT_ONCE):
                whole = ipaddress.ip_network(f"10.{octet}.{network * 8}.0/21")
                if (octet, network) in taken or any(whole.overlaps(route) for route in routes):
                    continue
                bed = Bed(name=name, level=level, network=network, octet=octet, boot_id=boot_id())
                bed.state.mkdir(parents=True, exist_ok=True)
                bed.state.chmod(0o700)
                bed.save()
                return bed
    raise BedError("No free addresses in 10.213.0.0 to 10.239.255.255: end a bed with `python -m testbed down`.")


def _routed_networks() -> list[ipaddress.IPv4Network]:
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]).stdout or "[]")
    networks = [ipaddress.IPv4Network(route["dst"]) for route in routes if route["dst"] != "default"]
    return [network for network in networks if network.prefixlen >= 8]  # shorter ones are halves of a default route


def create(bed: Bed) -> None:
    """Make the namespace, the link, the addresses and the routes. Nothing routes out of the machine."""
    run(["ip", "netns", "add", bed.tag])
    inner = "host0"
    link = ["ip", "link", "add", bed.host_interface, "type", "veth", "peer", "name", inner, "netns", bed.tag]
    run(link)
    run(["ip", "address", "add", f"{bed.host_address}/30", "dev", bed.host_interface])
    run(["ip", "link", "set", bed.host_interface, "up"])
    inside = [
        "ip link set lo up",
        f"ip address add {bed.address}/30 dev {inner}",
        f"ip link set {inner} up",
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
    ]
    run(bed.inside("sh", "-ec", "\n".join(inside)))
    for network in (bed.pod_range, bed.service_range):
        run(["ip", "route", "add", network, "via", bed.address, "dev", bed.host_interface])


def confine_pods(bed: Bed) -> None:
    """Let pods answer the host but never open a connection to it."""
    rules = (
        "table inet testbed {\n chain forward {\n"
        "  type filter hook forward priority filter; policy accept;\n"
        '  oifname "host0" ct state new drop\n'
        " }\n}\n"
    )
    run(bed.inside("nft", "-f", "-"), stdin=rules)


def exists(name: str) -> bool:
    """Tell whether the bed's network namespace is there."""
    return (NAMESPACES / tag_of(name)).exists()


def remove(name: str) -> None:
    """Remove the link and the namespace of the bed called `name`; neither needs to exist."""
    interface = host_interface_of(name)
    if Path("/sys/class/net", interface).exists():
        run(["ip", "link", "delete", interface])
    if exists(name):
        run(["ip", "netns", "delete", tag_of(name)])
        wait_until(lambda: not exists(name), seconds=5, what=f"The end of network namespace {tag_of(name)}")
