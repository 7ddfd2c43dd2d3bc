"""A line of the log says which resource it is about, in both formats."""

import json
import logging

import pytest

from trimtab.cli.run import configure_logging


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_line_names_its_resource(
    log_format: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.WARNING)
    monkeypatch.setattr(logging.getLogger("kopf"), "level", logging.NOTSET)
    configure_logging(log_format)
    logging.getLogger("trimtab.test").info("moved %s", "up", extra={"resource": "shop/tune", "decision": "d1"})
    line = capsys.readouterr().err.strip()
    if log_format == "json":
        assert json.loads(line)["resource"] == "shop/tune"
    else:
        assert line.endswith("INFO trimtab.test: moved up resource=shop/tune decision=d1")
