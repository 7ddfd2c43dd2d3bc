"""Every policy of the vertical lab by name, in the order of the table."""

from collections.abc import Callable, Mapping
from importlib import import_module, util

from trimtab.lab.peers.autopilot import Autopilot
from trimtab.lab.peers.hindsight import Oracle
from trimtab.lab.peers.krr import Krr
from trimtab.lab.peers.static import StaticMax
from trimtab.lab.peers.vpa_updater import Vpa
from trimtab.lab.vertical.replay import Policy

PEERS: Mapping[str, Callable[[], Policy]] = {
    "vpa": Vpa,
    "krr": Krr,
    "autopilot": Autopilot,
    "static-max": StaticMax,
    "oracle": Oracle,
}
_OWN = "trimtab.lab.vertical.trimtab"


def known() -> dict[str, Callable[[], Policy]]:
    """Name → a fresh policy; Trimtab's own operating points first."""
    own = import_module(_OWN).POLICIES if util.find_spec(_OWN) else {}
    return {**own, **PEERS}
