"""`trimtab backtest`: what the last days would have looked like, from Prometheus alone."""

import asyncio
import random
import time
from datetime import UTC, datetime
from pathlib import Path

import click
from pydantic import ValidationError

from trimtab.api.datasource import Datasource, TenantHeader
from trimtab.backtest import queries, report
from trimtab.backtest.keep import Keep, KeepError
from trimtab.backtest.notes import notes
from trimtab.backtest.owners import shown
from trimtab.backtest.reader import MAX_SAMPLES, Past, Reader
from trimtab.backtest.replay import CORE_PRICE, GIB_PRICE, POLICIES, RESOURCES, Prices, replay
from trimtab.lab.report.document import ReportError, encode, write
from trimtab.lab.report.option import ReportFile
from trimtab.lab.report.progress import bar
from trimtab.lab.report.tables import show, terminal
from trimtab.observe.prometheus import PrometheusSource
from trimtab.observe.selectors import Triple
from trimtab.observe.source import SourceError

_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


def _matchers(_context: click.Context, _option: click.Parameter, texts: tuple[str, ...]) -> list[Triple]:
    try:
        return [queries.matcher(text) for text in texts]
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.option("--prometheus", "url", required=True, help="Base address of Prometheus, Thanos or Mimir.")
@click.option("--namespace", "-n", "namespaces", multiple=True, help="Only this one; may be given more than once.")
@click.option("--days", default=14, show_default=True, type=click.IntRange(1, 60), help="How far back to read.")
@click.option("--end", type=click.DateTime(), help="Read up to this time (UTC) instead of now.")
@click.option("--html", "html_file", type=ReportFile(), help="Write one page with tables and plots to this file.")
@click.option("--json", "json_file", type=ReportFile(), help="Write everything but the plots to this file.")
@click.option(
    "--csv", "csv_file", type=ReportFile(), help="Write a line a container, resource and policy to this file."
)
@click.option("--tenant", help="Tenant, sent in the header that --tenant-header names.")
@click.option("--tenant-header", default="X-Scope-OrgID", show_default=True, help="Thanos: THANOS-TENANT.")
@click.option("--token-file", type=_FILE, help="File with a bearer token.")
@click.option("--ca-file", type=_FILE, help="PEM file with the certificate authorities to trust.")
@click.option("--resume", type=_FOLDER, help="Keep what is read in this folder, and go on from there.")
@click.option(
    "--matcher", "matchers", multiple=True, callback=_matchers, help="In every query: cluster=prod; repeatable."
)
@click.option("--max-samples", default=MAX_SAMPLES, show_default=True, type=click.IntRange(min=1000), help="A query.")
@click.option("--core-price", default=CORE_PRICE, show_default=True, help="Price of a core an hour.")
@click.option("--gib-price", default=GIB_PRICE, show_default=True, help="Price of a GiB of memory an hour.")
@click.option("--currency", default="USD", show_default=True)
def backtest(
    url: str,
    namespaces: tuple[str, ...],
    days: int,
    end: datetime | None,
    html_file: Path | None,
    json_file: Path | None,
    csv_file: Path | None,
    tenant: str | None,
    tenant_header: str,
    token_file: Path | None,
    ca_file: Path | None,
    resume: Path | None,
    matchers: list[Triple],
    max_samples: int,
    core_price: float,
    gib_price: float,
    currency: str,
) -> None:
    """Replay the past of a cluster: today's requests beside what Trimtab and VPA would have requested.

    Reads usage from Prometheus, a day and a namespace at a time, and writes nothing to it nor to any cluster.
    """
    until = end.replace(tzinfo=UTC).timestamp() if end else time.time()
    try:
        datasource = Datasource(
            name="backtest",
            url=url,
            timeout_seconds=60.0,
            tenant_header=TenantHeader(name=tenant_header, value=tenant) if tenant else None,
            bearer_token_file=token_file,
            ca_file=ca_file,
            max_queries_per_second=10.0,
            max_concurrency=1,
            max_response_bytes=256 << 20,
        )
    except ValidationError as error:
        raise click.BadParameter(
            str(error.errors()[0]["msg"]), param_hint="--prometheus, --tenant or --tenant-header"
        ) from error
    try:
        keep = Keep(resume)
        asked = {"url": url, "tenant": tenant or "", "namespaces": list(namespaces), "days": days, "end": until}
        if matchers:
            asked["matchers"] = [list(one) for one in matchers]
        until = float(keep.run(asked)["end"])
        past = asyncio.run(_read(datasource, keep, namespaces, until, days, max_samples, matchers))
    except (KeepError, SourceError) as error:
        raise click.ClickException(shown(str(error))) from error
    unread = "; ".join(f"{name}: {why}" for name, why in sorted(past.unread.items()))
    if not past.fleet.tracks:
        raise click.ClickException(
            shown(unread)
            or "no container's usage was found; check that this Prometheus scrapes the kubelets' /metrics/cadvisor"
        )
    with bar(len(POLICIES) * len(RESOURCES)) as progress:
        prices = Prices(core_price, gib_price)
        result = replay(past.fleet, prices, progress.start, progress.part, progress.finish)
    console = terminal()
    for table in report.tables(result, currency, report.SHOWN_IN_TERMINAL):
        show(console, table)
    for note in notes(past, result, days):
        click.echo(note)
    try:
        if html_file:
            write(html_file, report.html(past, result, days, currency).encode())
        if json_file:
            write(json_file, encode(report.document(past, result, days)))
        if csv_file:
            write(csv_file, report.table_file(result).encode())
    except ReportError as error:
        raise click.ClickException(str(error)) from error
    if unread:
        again = (
            f"the same command reads only them; {resume} keeps the rest" if resume else "--resume would keep the rest"
        )
        raise click.ClickException(shown(f"{len(past.unread)} namespaces are not in this report ({again}): {unread}"))


async def _read(
    datasource: Datasource,
    keep: Keep,
    namespaces: tuple[str, ...],
    end: float,
    days: int,
    max_samples: int,
    matchers: list[Triple],
) -> Past:
    source = PrometheusSource(datasource, random.Random(0))
    reader = Reader(source, keep, max_samples, told=lambda line: click.echo(shown(line), err=True), matchers=matchers)
    try:
        chosen = sorted(set(namespaces)) or await reader.namespaces(end, days)
        with bar(max(len(chosen), 1)) as progress:

            def told(namespace: str, done: float) -> None:
                progress.start(f"reading {namespace}")
                progress.part(namespace, done)

            return await reader.read(chosen, end, days, told)
    finally:
        await source.aclose()
