"""`trimtab export`: the patch that writes the tuned values into the workload's own manifest, to keep them for good."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import yaml

from trimtab.api.group import CONFIG_PLURAL, GROUP, VERSION
from trimtab.api.privacy import Privacy
from trimtab.api.resource import Invalid, PerformanceConfig, parse_config
from trimtab.cli.output import TEXT, document, output_option
from trimtab.kube.client import KubeClient
from trimtab.kube.errors import KubeError, NotFound
from trimtab.kube.paths import resource_path


@click.command()
@click.argument("resource", metavar="NAMESPACE/NAME")
@output_option()
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="Default: $KUBECONFIG, or ~/.kube/config.")
def export(resource: str, output: str, kubeconfig: Path | None) -> None:
    """Print the patch that keeps what Trimtab tuned, for the workload of the PerformanceConfig NAMESPACE/NAME.

    Replicas are left out: they follow the load.
    """
    namespace, _, name = resource.partition("/")
    if not namespace or not name or "/" in name:
        raise click.ClickException(f"{resource!r} is not of the form NAMESPACE/NAME, such as shop/my-app")
    try:
        raw = asyncio.run(_read(namespace, name, kubeconfig))
    except NotFound as error:
        raise click.ClickException(f"namespace {namespace} has no PerformanceConfig {name}") from error
    except KubeError as error:
        raise click.ClickException(Privacy().clean(f"the API server did not give {resource}: {error}")) from error
    found = parse_config(raw)
    if isinstance(found, Invalid):
        raise click.ClickException(Privacy().clean(f"{resource}: {found.message}"))
    patch = patch_of(found)
    if patch is None:
        click.echo(f"# {resource}: nothing is tuned; the pod template is in force.", err=True)
        return
    if output != TEXT:
        click.echo(document(patch, output), nl=False)
        return
    kind, target = found.spec.target_ref.kind, found.spec.target_ref.name
    click.echo(f"# trimtab export {resource} > patch.yaml")
    click.echo(f"# kubectl patch {kind.lower()} {target} -n {namespace} --patch-file patch.yaml")
    click.echo(yaml.safe_dump(patch, sort_keys=False), nl=False)


def patch_of(config: PerformanceConfig) -> dict[str, Any] | None:
    """A strategic merge patch of the workload with what is in force; None when nothing is listed."""
    containers = []
    for applied in config.status.applied.containers:
        entry: dict[str, Any] = {"name": applied.name}
        resources = {
            field: {key: str(value) for key, value in (("cpu", amounts.cpu), ("memory", amounts.memory)) if value}
            for field, amounts in (("requests", applied.requests), ("limits", applied.limits))
        }
        if filled := {field: amounts for field, amounts in resources.items() if amounts}:
            entry["resources"] = filled
        if applied.env:
            entry["env"] = [{"name": name, "value": str(value)} for name, value in sorted(applied.env.items())]
        if len(entry) > 1:
            containers.append(entry)
    if not containers:
        return None
    target = config.spec.target_ref
    return {
        "apiVersion": target.api_version,
        "kind": target.kind,
        "metadata": {"name": target.name, "namespace": config.metadata.namespace},
        "spec": {"template": {"spec": {"containers": containers}}},
    }


async def _read(namespace: str, name: str, kubeconfig: Path | None) -> Mapping[str, Any]:
    async with await KubeClient.connect(kubeconfig) as client:
        return await client.get(resource_path(GROUP, VERSION, CONFIG_PLURAL, namespace, name))
