"""KEDA on a Prometheus query: what a ScaledObject with one `prometheus` trigger asks for.

Sources: the KEDA documentation, "Scaling Deployments" and the scalers' page "Prometheus". Between 1 and N replicas KEDA
leaves the arithmetic to an HPA that it creates, with an External metric of type AverageValue (its default metricType)
and the trigger's `threshold` as the target; KEDA itself only switches between 0 and 1.
"""

from trimtab.lab.peers.hpa import TOLERANCE, Tolerance, object_average_value_replicas


def is_active(value: float, activation_threshold: float = 0.0) -> bool:
    """Whether the trigger is active: the value is above its activationThreshold."""
    return value > activation_threshold


def replicas(current: int, threshold: float, value: float, *, tolerance: Tolerance = TOLERANCE) -> int:
    """Replicas that the ScaledObject's HPA wants: value over threshold, unless that is close to what runs.

    `value` is the query's single result over all pods, such as sum(rate(http_requests_total[1m])).
    """
    return object_average_value_replicas(current, threshold, value, tolerance=tolerance).replicas
