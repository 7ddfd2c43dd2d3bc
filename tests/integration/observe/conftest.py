"""One Prometheus for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.integration.observe.bed import Exporter, Prometheus, bed
from tests.integration.observe.pages import HISTORY_END, cadvisor, mortal, past, service, tenants


@pytest.fixture(scope="session")
def exporter() -> Exporter:
    pages = Exporter()
    pages.add("tenants", tenants)
    pages.add("service", service)
    pages.add("mortal", mortal)
    pages.add("cadvisor", cadvisor)
    return pages


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory, exporter: Exporter) -> Iterator[Prometheus]:
    with bed(tmp_path_factory.mktemp("prometheus"), exporter, past(HISTORY_END)) as running:
        yield running
