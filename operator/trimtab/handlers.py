"""kopf wiring: PerformanceConfigs into the store, and the frame of the process. No finaliser, no annotation, no patch.

`on.event` only: kopf's create/update/delete handlers write to every object and block its deletion with a
finaliser (two patches an object, 14 s of start per thousand, measured), and deletion must never hang.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

import kopf

from trimtab.api.group import CONFIG_PLURAL, GROUP, VERSION
from trimtab.observe.configs import ConfigStore


def registry_for(store: ConfigStore) -> kopf.OperatorRegistry:
    """Handlers that feed the store."""
    registry = kopf.OperatorRegistry()

    # kopf has a client of its own; it finds the same service account or kubeconfig as ours.
    kopf.on.login(registry=registry)(kopf.login_via_client)

    @kopf.on.event(GROUP, VERSION, CONFIG_PLURAL, registry=registry)
    async def changed(event: kopf.RawEvent, **_: Any) -> None:
        raw: dict[str, Any] = dict(event["object"])
        if event["type"] == "DELETED":
            meta = raw.get("metadata", {})
            store.gone(meta.get("namespace", ""), meta.get("name", ""), meta.get("uid", ""))
        else:
            store.see(raw)

    return registry


def frame_settings() -> kopf.OperatorSettings:
    """kopf's settings: no events of its own, no scan for CRDs and namespaces (rights we do not have)."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    # Unbounded workers open a connection each; 16 with a long idle time starves (both measured).
    settings.queueing.worker_limit = 16
    settings.queueing.idle_timeout = 0.01
    settings.process.ultimate_exiting_timeout = 20.0
    return settings


async def run_frame(store: ConfigStore, namespaces: list[str], started: Callable[[], None]) -> None:
    """Run kopf until the task is cancelled; `started` is called once kopf has put its signal handlers in place."""
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    ready.add_done_callback(lambda _: started())
    await kopf.operator(
        registry=registry_for(store),
        settings=frame_settings(),
        standalone=True,
        # Without one kopf asks for the user's name, and a user id that only the pod knows has none.
        identity=cast(Any, socket.gethostname()),
        clusterwide=not namespaces,
        namespaces=namespaces,
        ready_flag=ready,
    )
