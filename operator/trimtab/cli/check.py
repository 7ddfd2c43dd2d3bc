"""`trimtab check`: finds mistakes in manifests before they reach a cluster."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TextIO

import click
import promql_parser
import yaml

from trimtab.api.checks import Problem
from trimtab.api.crd import Schema, structural_schema
from trimtab.api.group import API_VERSION
from trimtab.api.reasons import Reason
from trimtab.api.resource import parse_spec
from trimtab.api.spec import PerformanceConfigSpec

KIND = "PerformanceConfig"


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.File("r", encoding="utf-8"))
def check(files: tuple[TextIO, ...]) -> None:
    """Check the PerformanceConfigs in FILES (- for standard input) without a cluster.

    Prints file, resource, field and remedy of every problem, and exits with 1 if there is one. Other kinds
    in the files are passed over. What only the cluster knows (workload, datasource, data) is told by the
    resource's conditions.
    """
    found = problems = 0
    for file in files:
        for name, manifest in _manifests(file):
            found += 1
            for problem in check_manifest(manifest):
                problems += 1
                click.echo(f"{file.name}: {name}: {problem}")
    if not found:
        raise click.ClickException(f"no {KIND} in these files; give a manifest with kind: {KIND}")
    if problems:
        raise click.exceptions.Exit(1)
    click.echo(f"{found} {KIND}{'s' if found > 1 else ''} checked, no problem found")


def check_manifest(manifest: Mapping[str, Any]) -> list[Problem]:
    """Everything that is wrong with one PerformanceConfig, as far as it can be told without a cluster."""
    raw = manifest.get("spec")
    problems = list(_header(manifest))
    problems += list(_unknown_fields(raw, structural_schema(PerformanceConfigSpec), "spec"))
    spec = parse_spec(raw)
    if not isinstance(spec, PerformanceConfigSpec):
        return problems + spec
    for path, query in _queries(spec):
        try:
            promql_parser.parse(query or "1")
        except ValueError as error:
            problems.append(Problem(path, Reason.PROMQL_INVALID, f"not PromQL ({error}); correct it"))
    return problems


def _queries(spec: PerformanceConfigSpec) -> Iterator[tuple[str, str | None]]:
    """Every field that holds PromQL."""
    for index, metric in enumerate(spec.monitoring.metrics):
        yield f"spec.monitoring.metrics[{index}].query", metric.query
    for index, objective in enumerate(spec.monitoring.objectives):
        yield f"spec.monitoring.objectives[{index}].good", objective.good
        yield f"spec.monitoring.objectives[{index}].total", objective.total


def _header(manifest: Mapping[str, Any]) -> Iterator[Problem]:
    if manifest.get("apiVersion") != API_VERSION:
        yield Problem("apiVersion", Reason.SPEC_INVALID, f"no version of {KIND}; write {API_VERSION}")
    metadata = manifest.get("metadata")
    if not isinstance(metadata, Mapping) or not (metadata.get("name") or metadata.get("generateName")):
        yield Problem("metadata.name", Reason.SPEC_INVALID, "is required; add it")


def _manifests(file: TextIO) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and content of every PerformanceConfig of a file, those in lists included."""
    try:
        waiting = list(yaml.safe_load_all(file))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        text = " ".join(str(error).split())
        raise click.ClickException(f"{file.name} is no YAML ({text}); correct it") from error
    while waiting:
        document = waiting.pop(0)
        if not isinstance(document, Mapping):
            continue
        if isinstance(document.get("items"), list):
            waiting = document["items"] + waiting
        elif document.get("kind") == KIND:
            metadata = document.get("metadata")
            name = metadata.get("name") if isinstance(metadata, Mapping) else None
            yield str(name or "(no name)"), document


def _unknown_fields(raw: object, schema: Schema, path: str) -> Iterator[Problem]:
    """Fields that the schema lacks: the API server refuses them or drops them."""
    if isinstance(raw, list) and "items" in schema:
        for index, item in enumerate(raw):
            yield from _unknown_fields(item, schema["items"], f"{path}[{index}]")
    if not isinstance(raw, Mapping) or "properties" not in schema:
        return
    known = schema["properties"]
    for key, value in raw.items():
        if key in known:
            yield from _unknown_fields(value, known[key], f"{path}.{key}")
            continue
        close = get_close_matches(str(key), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
        yield Problem(f"{path}.{key}", Reason.SPEC_INVALID, f"no such field; {hint}")
