"""Reading a PerformanceConfig and its journal with the user's own kubeconfig, for commands that only read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from trimtab.api.group import GROUP, JOURNAL_PLURAL, VERSION
from trimtab.api.privacy import Privacy
from trimtab.api.resource import Invalid, PerformanceConfig, parse_config
from trimtab.kube.client import KubeClient
from trimtab.kube.errors import Forbidden, KubeError, NotFound
from trimtab.kube.paths import resource_path
from trimtab.kube.raw import items
from trimtab.record.journals import Entry
from trimtab.record.owned import belongs
from trimtab.record.reading import entries_of

CONFIGS = "performanceconfigs"
Json = Mapping[str, Any]


def named(resource: str) -> tuple[str, str]:
    """Namespace and name of NAMESPACE/NAME.

    Raises:
        click.ClickException: it is not of this form.
    """
    namespace, _, name = resource.partition("/")
    if not namespace or not name or "/" in name:
        raise click.ClickException(f"{resource!r} is not of the form NAMESPACE/NAME, such as shop/my-app")
    return namespace, name


async def read_one(
    namespace: str, name: str, kubeconfig: Path | None
) -> tuple[PerformanceConfig, list[Entry], list[str]]:
    """A resource, the entries of its journal, and what could not be read of it.

    Raises:
        click.ClickException: there is no such resource, or it can't be read.
    """
    where = f"{namespace}/{name}"
    try:
        async with await KubeClient.connect(kubeconfig) as client:
            raw = await client.get(resource_path(GROUP, VERSION, CONFIGS, namespace, name))
            found = parse_config(raw)
            if isinstance(found, Invalid):
                raise click.ClickException(f"{where}: {found.message}")
            entries, notes = await _journal(client, found)
    except NotFound as error:
        raise click.ClickException(f"namespace {namespace} has no PerformanceConfig {name}") from error
    except KubeError as error:
        raise click.ClickException(Privacy().clean(f"the API server did not give {where}: {error}")) from error
    return found, entries, notes


async def _journal(client: KubeClient, config: PerformanceConfig) -> tuple[list[Entry], list[str]]:
    metadata = config.metadata
    try:
        raw = await client.get(resource_path(GROUP, VERSION, JOURNAL_PLURAL, metadata.namespace, metadata.name))
    except NotFound:
        return [], ["There is no TuningJournal of it yet: this is from the status, without the inputs of decisions."]
    except Forbidden:
        return [], ["You may not read TuningJournals here (role trimtab-view), so this is from the status alone."]
    if not belongs(raw, metadata.uid):
        return [], ["The TuningJournal of this name is of an earlier resource, so this is from the status alone."]
    entries, problem = entries_of(raw)
    note = f"The TuningJournal can't be read ({problem}), so this is from the status alone."
    return entries, [note] if problem else []


async def read_all(namespaces: Sequence[str], kubeconfig: Path | None) -> tuple[list[Json], list[Json], list[str]]:
    """All PerformanceConfigs and TuningJournals of these namespaces (none given: of the cluster), and notes.

    Raises:
        click.ClickException: the resources can't be listed.
    """
    configs: list[Json] = []
    journals: list[Json] = []
    notes: list[str] = []
    try:
        async with await KubeClient.connect(kubeconfig) as client:
            for namespace in namespaces or (None,):
                async for page in client.pages(resource_path(GROUP, VERSION, CONFIGS, namespace)):
                    configs += items(page, "items")
                try:
                    async for page in client.pages(resource_path(GROUP, VERSION, JOURNAL_PLURAL, namespace)):
                        journals += items(page, "items")
                except (NotFound, Forbidden) as error:
                    notes.append(f"TuningJournals can't be read ({error.reason}): decisions are those of the status.")
    except KubeError as error:
        said = Privacy().clean(f"the API server did not give the PerformanceConfigs: {error}")
        raise click.ClickException(said) from error
    return configs, journals, notes
