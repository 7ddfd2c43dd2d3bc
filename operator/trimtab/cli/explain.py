"""`trimtab explain`: why a decision was made, recomputed from what it was made from."""

import asyncio
import base64
import binascii
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from trimtab.api.resource import PerformanceConfig
from trimtab.cli.output import TEXT, document, labels_option, output_option, privacy_of, style
from trimtab.cli.reading import named, read_one
from trimtab.decide.pack import PackError
from trimtab.decide.replay import recall
from trimtab.explain.build import Known, explanation
from trimtab.explain.model import ExplainError
from trimtab.explain.render import rendered
from trimtab.explain.whatif import parse
from trimtab.record.journals import Entry, merged


@click.command()
@click.argument("resource", metavar="NAMESPACE/NAME")
@click.option("--decision", "identity", default="", metavar="ID", help="Which decision. Default: the newest.")
@click.option(
    "--what-if",
    "changes",
    multiple=True,
    metavar="PATH=VALUE",
    help="Decide again with another constraint, such as replicas.max=30 or containers.app.cpu.max=2. Repeatable.",
)
@output_option()
@labels_option()
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="Default: $KUBECONFIG, or ~/.kube/config.")
def explain(
    resource: str,
    identity: str,
    changes: tuple[str, ...],
    output: str,
    labels: tuple[str, ...],
    kubeconfig: Path | None,
) -> None:
    """Say why a decision for the PerformanceConfig NAMESPACE/NAME was made.

    What was seen, which checks ran and what each said, what the other levers would have done, what was
    predicted and what came. It is recomputed from the recorded inputs; without them it is told from the status.
    """
    namespace, name = named(resource)
    try:
        wanted = [parse(change) for change in changes]
        config, entries, notes = asyncio.run(read_one(namespace, name, kubeconfig))
        known = list(known_of(config, entries))
        found = explanation(config, known, identity=identity, changes=wanted, notes=notes)
    except ExplainError as error:
        raise click.ClickException(f"{resource}: {error}") from error
    privacy = privacy_of(labels)
    if output == TEXT:
        click.echo(privacy.clean(rendered(found, style)), nl=False)
    else:
        content = privacy.cleaned(found.model_dump(mode="json", by_alias=True, exclude_none=True))
        click.echo(document(content, output), nl=False)


def known_of(config: PerformanceConfig, entries: Iterable[Entry]) -> Iterator[Known]:
    """The decisions of journal and status, newest first; of one in both, the newer outcome and the inputs."""
    journal = list(entries)
    recorded = {entry.decision.id for entry in journal}
    for entry in merged(journal, (Entry(decision) for decision in config.status.decisions)):
        known = Known(entry.decision, in_journal=entry.decision.id in recorded)
        if not entry.inputs:
            yield known
            continue
        try:
            inputs = recall(base64.b64decode(entry.inputs, validate=True))
            yield Known(entry.decision, inputs, in_journal=True)
        except (binascii.Error, PackError) as error:
            yield Known(entry.decision, in_journal=True, problem=f"its recorded inputs can't be read: {error}")
