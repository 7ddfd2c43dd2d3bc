"""What the cluster can do: its version, in-place resize, admission policies, optional custom resources."""

import asyncio
from dataclasses import dataclass

from trimtab.api.group import API_VERSION, PROFILE_KIND
from trimtab.kube.client import KubeClient
from trimtab.kube.discovery import Discovery
from trimtab.kube.errors import Forbidden, KubeError, NotFound
from trimtab.kube.raw import text

POLICY_GROUP = "admissionregistration.k8s.io"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the API server serves. None: it could not be asked yet."""

    version: str = ""
    """Git version of the API server, such as v1.36.3."""
    pod_resize: bool | None = None
    """pods/resize is served (beta, on by default, from 1.33)."""
    admission_policy: bool | None = None
    """MutatingAdmissionPolicy v1 is served (1.36)."""
    scaled_objects: bool | None = None
    vertical_autoscalers: bool | None = None
    tuning_profiles: bool | None = None

    @property
    def shapes_new_pods(self) -> bool:
        """Whether new pods can get their values at admission; whether the policy is installed, the settings say."""
        return bool(self.admission_policy) and bool(self.tuning_profiles)


async def probe(client: KubeClient, discovery: Discovery, *, before: Capabilities) -> Capabilities:
    """Ask the API server; what it cannot say now stays as it was before. Never raises KubeError."""
    version, resize, policy, keda, vpa, profiles = await asyncio.gather(
        _version(client, before.version),
        _served(discovery, "v1", "Pod", before.pod_resize, subresource="resize"),
        _served(discovery, f"{POLICY_GROUP}/v1", "MutatingAdmissionPolicy", before.admission_policy),
        _served(discovery, "keda.sh/v1alpha1", "ScaledObject", before.scaled_objects),
        _served(discovery, "autoscaling.k8s.io/v1", "VerticalPodAutoscaler", before.vertical_autoscalers),
        _served(discovery, API_VERSION, PROFILE_KIND, before.tuning_profiles),
    )
    return Capabilities(version, resize, policy, keda, vpa, profiles)


async def _version(client: KubeClient, before: str) -> str:
    try:
        return text(await client.get("/version"), "gitVersion") or before
    except KubeError:
        return before


async def _served(
    discovery: Discovery, api_version: str, kind: str, before: bool | None, subresource: str = ""
) -> bool | None:
    try:
        found = await discovery.resource_for(api_version, kind)
    except NotFound:
        return False
    except Forbidden:
        return True  # discovery is closed to us: the use of it will tell
    except KubeError:
        return before
    return not subresource or subresource in found.subresources
