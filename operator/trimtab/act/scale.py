"""Replicas by the scale subresource, of every kind that has one (RULES 9)."""

from trimtab.act.targets import SetPoint, TargetInfo
from trimtab.act.writer import Writer
from trimtab.api.reasons import Reason
from trimtab.decide.observation import Lever
from trimtab.decide.plan import Outcome
from trimtab.kube.discovery import Discovery
from trimtab.kube.errors import Conflict, Forbidden, NotFound
from trimtab.kube.raw import integer, text


async def scale(writer: Writer, discovery: Discovery, info: TargetInfo, point: SetPoint) -> Outcome:
    """Set spec.replicas, if it is still what the plan saw.

    Raises:
        HeldError: the gate holds the write.
        KubeError: the API server refused in a way that says nothing about this workload.
    """
    work, wanted = info.workload, point.replicas
    resource = await discovery.resource_for(work.api_version, work.kind)
    path = resource.path(work.namespace, work.name, "scale")
    try:
        live = await writer.get(path)
        stands, version = integer(live, "spec", "replicas"), text(live, "metadata", "resourceVersion")
        if stands == wanted:
            return _outcome(info, True, Reason.UP_TO_DATE, f"spec.replicas is {wanted}")
        if stands != point.replicas_seen:
            message = f"spec.replicas is {stands}, not {point.replicas_seen} as seen; decided anew with fresh data"
            return _outcome(info, False, Reason.PROGRESSING, message)
        await writer.merge_patch(path, {"metadata": {"resourceVersion": version}, "spec": {"replicas": wanted}})
    except Conflict:
        message = "the workload changed while its replicas were set; next try with fresh data"
        return _outcome(info, False, Reason.PROGRESSING, message)
    except Forbidden as error:
        return _outcome(info, False, Reason.SCALE_FORBIDDEN, str(error))
    except NotFound:
        message = f"{work.kind} {work.name} has no scale subresource"
        return _outcome(info, False, Reason.LEVER_NOT_SUPPORTED, message)
    reason = Reason.SCALED_UP if wanted > stands else Reason.SCALED_DOWN
    return _outcome(info, True, reason, f"spec.replicas went from {stands} to {wanted}", abs(wanted - stands))


def _outcome(info: TargetInfo, ok: bool, reason: Reason, message: str, pods: int = 0) -> Outcome:
    return Outcome(info.key, Lever.REPLICAS, "", ok, reason, message, pods)
