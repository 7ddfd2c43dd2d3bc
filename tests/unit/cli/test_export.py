"""`trimtab export` prints a patch with what is in force, and nothing that would freeze the replicas."""

from typing import Any

from click.testing import CliRunner

from trimtab.api.resource import PerformanceConfig, parse_config
from trimtab.cli.export import export, patch_of

APPLIED = {
    "replicas": 3,
    "containers": [
        {
            "name": "app",
            "requests": {"cpu": "120m", "memory": "128Mi"},
            "limits": {"memory": "768Mi"},
            "env": {"BATCH_SIZE": 8},
        },
        {"name": "untouched"},
    ],
}


def config(applied: dict[str, Any]) -> PerformanceConfig:
    found = parse_config(
        {
            "metadata": {"name": "rag", "namespace": "shop"},
            "spec": {"targetRef": {"name": "rag-api"}},
            "status": {"applied": applied},
        }
    )
    assert isinstance(found, PerformanceConfig)
    return found


def test_rule_18_the_patch_holds_requests_limits_and_knobs_and_no_replicas() -> None:
    patch = patch_of(config(APPLIED))
    assert patch == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "rag-api", "namespace": "shop"},
        "spec": {
            "template": {
                "spec": {
                    "containers": [
                        {
                            "name": "app",
                            "resources": {
                                "requests": {"cpu": "120m", "memory": "128Mi"},
                                "limits": {"memory": "768Mi"},
                            },
                            "env": [{"name": "BATCH_SIZE", "value": "8"}],
                        }
                    ]
                }
            }
        },
    }


def test_nothing_in_force_gives_no_patch() -> None:
    assert patch_of(config({})) is None


def test_a_name_without_a_namespace_is_refused_with_the_form() -> None:
    result = CliRunner().invoke(export, ["rag"])
    assert result.exit_code == 1
    assert "NAMESPACE/NAME" in result.output
