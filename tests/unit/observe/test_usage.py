"""Over how long CPU is averaged."""

import pytest

from trimtab.api.datasource import Datasource
from trimtab.observe.builtin import HOUSEKEEPING_SECONDS
from trimtab.observe.usage import cpu_window


@pytest.mark.parametrize("scrape", [1.0, 5.0, 10.0, 15.0, 30.0, 60.0])
def test_there_are_always_two_samples_in_it_although_a_kubelet_measures_at_its_own_pace(scrape: float) -> None:
    source = Datasource(name="main", url="http://prometheus", scrape_interval_seconds=scrape)
    apart = max(scrape, HOUSEKEEPING_SECONDS)
    age_of_the_newest = HOUSEKEEPING_SECONDS + scrape
    assert cpu_window(source) >= age_of_the_newest + apart
