"""kopf as the frame: what it may not ask of the place where it runs.

The images of the test bed have no name for the user of the pods, so the end-to-end tests run it in such a place.
"""

from typing import Any

import kopf
import pytest

from trimtab.handlers import run_frame
from trimtab.observe.configs import ConfigStore


async def test_it_is_told_who_it_is_for_a_user_id_may_have_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    async def operator(**options: Any) -> None:
        given.update(options)

    monkeypatch.setattr(kopf, "operator", operator)
    await run_frame(ConfigStore(), ["shop"], lambda: None)
    assert given["identity"]
    assert given["namespaces"] == ["shop"]
