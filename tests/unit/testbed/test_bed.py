"""Names, addresses, records and messages of the test bed."""

import ipaddress
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed import bed as beds
from testbed import build, check, net, processes
from testbed.bed import Bed
from testbed.prometheus import scrape_config
from testbed.run import BedError, run, wait_until


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_STATE", str(tmp_path / "beds"))
    monkeypatch.setenv("TRIMTAB_CACHE", str(tmp_path / "cache"))


def bed(name: str = "one", network: int = 0) -> Bed:
    return Bed(name=name, level="api", network=network, octet=213, boot_id=beds.boot_id())


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a/b", "../x", "a" * 21, "a b"])
def test_a_name_that_could_leave_the_state_folder_is_refused(name: str) -> None:
    with pytest.raises(BedError, match="cannot name a bed"):
        beds.state_folder(name)


def test_beds_of_the_same_name_in_two_state_folders_share_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = (bed().tag, bed().host_interface)
    monkeypatch.setenv("TRIMTAB_STATE", str(tmp_path / "other"))
    assert not set(first) & {bed().tag, bed().host_interface}
    assert all(len(interface) <= 15 for interface in (first[1], bed().host_interface))


def test_no_two_beds_share_an_address() -> None:
    ranges = []
    for network in range(beds.BEDS_AT_ONCE):
        one = bed(network=network)
        ranges += [ipaddress.ip_network(text) for text in (one.pod_range, one.service_range)]
        ranges.append(ipaddress.ip_network(f"{one.address}/30", strict=False))
        assert ipaddress.ip_address(one.api_cluster_ip) in ipaddress.ip_network(one.service_range)
    assert not any(a.overlaps(b) for i, a in enumerate(ranges) for b in ranges[:i])


def test_a_bed_is_read_back_as_it_was_saved_and_a_torn_record_counts_as_none() -> None:
    one = bed()
    one.state.mkdir(parents=True)
    one.save()
    assert beds.load("one") == one
    record = one.path("bed.json")
    record.write_text(record.read_text()[:20])
    assert beds.load("one") is None
    assert beds.known_names() == ["one"]


def test_addresses_that_another_bed_or_a_route_of_the_machine_has_are_not_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    routes = [ipaddress.IPv4Network("10.213.0.0/16"), ipaddress.IPv4Network("10.214.9.0/24")]
    monkeypatch.setattr(net, "_routed_networks", lambda: routes)
    given = [net.allocate(name, "api") for name in ("one", "two")]
    assert [(one.octet, one.network) for one in given] == [(214, 0), (214, 2)]


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is not the bed's, with an id that the bed's record names."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_a_process_that_was_given_a_recorded_id_anew_is_never_ended(
    tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    (tmp_path / "processes").mkdir()
    (tmp_path / "processes" / "etcd.json").write_text(
        f'{{"name": "etcd", "pid": {stranger.pid}, "start_time": 1, "command": ["etcd"]}}'
    )
    (tmp_path / "processes" / "torn.json").write_text('{"name": "to')
    (record,) = processes.records(tmp_path)
    assert not record.alive
    processes.kill_recorded(tmp_path)
    assert stranger.poll() is None


@pytest.mark.parametrize(("version", "said"), [("go1.20.4", "go1.20.4 is too old"), ("devel", "devel is too old")])
def test_a_go_that_cannot_fetch_a_newer_one_is_refused(
    version: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "go"
    fake.write_text(f"#!/bin/sh\necho {version}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BedError, match=said):
        build.build(["pause"])


def test_a_build_that_fails_leaves_no_program_and_says_what_go_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "go"
    fake.write_text('#!/bin/sh\n[ "$1" = env ] && echo go9.0 && exit\necho no space left >&2; exit 1\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(BedError, match="no space left"):
        build.build(["pause"])
    assert not list((tmp_path / "cache").rglob("pause"))


def test_an_unknown_program_is_refused_by_name() -> None:
    with pytest.raises(BedError, match="No such program: kubeadm; there are etcd"):
        build.build(["kubeadm"])


def test_a_machine_without_a_part_is_told_which_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(BedError, match=r"cannot run a bed of level pods\. root: .*run with sudo, or use kind"):
        check.require("pods")


def test_packages_are_missing_when_what_they_bring_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = tmp_path / "packages.txt"
    listed.write_text(f"# comment\nsh sh\nnone no-such-program\nfile {listed}\ngone /no/such/file\n")
    monkeypatch.setattr(check, "PACKAGES", listed)
    assert check.missing_packages() == ["none", "gone"]


def test_a_bed_that_is_not_up_is_said_with_the_command_that_starts_it() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "testbed", "env", "--name", "none"],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ("error: Bed none is not up: run `python -m testbed up --name none --level api`.\n")


def test_a_command_that_fails_says_its_code_and_its_last_words() -> None:
    with pytest.raises(BedError, match="failed with code 3: oops"):
        run(["sh", "-c", "echo oops >&2; exit 3"])


def test_a_command_that_hangs_is_ended_at_its_time_limit() -> None:
    with pytest.raises(BedError, match=r"did not end within 0\.1 s"):
        run(["tail", "-f", "/dev/null"], timeout=0.1)


def test_a_condition_that_never_holds_is_said_with_its_detail() -> None:
    with pytest.raises(BedError, match=r"The sun did not happen within 0 s\. Log\."):
        wait_until(lambda: False, seconds=0, what="The sun", detail=lambda: "Log.")


def test_scraped_pods_are_labelled_with_namespace_and_pod() -> None:
    jobs = {job["job_name"]: job for job in scrape_config(bed(), 5)["scrape_configs"]}
    assert list(jobs) == ["kubelet", "kubelet-cadvisor", "kubelet-resource", "kube-scheduler", "pods"]
    labels = {rule.get("target_label") for rule in jobs["pods"]["relabel_configs"]}
    assert {"namespace", "pod", "__address__", "__metrics_path__", "__scheme__"} <= labels
