"""Downloading the locked jars through jgo, which knows the public Maven repository."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import requests
from jgo.maven import MavenContext

from stream.artefacts.atomic_file import replace_atomically
from stream.broker.errors import BrokerError, explaining_disk
from stream.broker.jars import Jar

CONNECTIONS = 8


def fetch_jars(jars: Sequence[Jar], repository: Path) -> None:
    """Download jars into a Maven repository; only a file with the locked sha256 enters it.

    Proxies and certificates are those of `requests`: `HTTPS_PROXY`, `REQUESTS_CA_BUNDLE`.

    Raises:
        BrokerError: no network, an untrusted certificate, other bytes, or no room on disk.
    """
    # In this order: the errors of requests are OSErrors too.
    with explaining_disk(repository), _explaining_network(repository):
        repository.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".ioa-", dir=repository) as staging:
            context = MavenContext(repo_cache=Path(staging))
            with ThreadPoolExecutor(CONNECTIONS) as pool:
                list(pool.map(partial(_fetch_jar, context, repository), jars))


def _fetch_jar(context: MavenContext, repository: Path, jar: Jar) -> None:
    fetched = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    target = jar.path_in(repository)
    if not jar.matches(fetched):
        raise BrokerError(
            f"what arrived for {jar.name} is not the file this project was tested with (its sha256 "
            f"is not {jar.sha256}): try again, or copy the true file to {target}"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    # A second process that fetches at the same time never sees half a jar.
    with replace_atomically(target) as draft:
        fetched.replace(draft)


@contextmanager
def _explaining_network(repository: Path) -> Iterator[None]:
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise BrokerError(
            "the certificate of the Maven repository is not trusted: name your organisation's "
            "certificate bundle in REQUESTS_CA_BUNDLE (SSL_CERT_FILE is not read here). "
            f"Cause: {error}"
        ) from error
    except (requests.exceptions.RequestException, RuntimeError) as error:
        raise BrokerError(
            f"the jars of Apache Kafka are not all in {repository} and cannot be fetched: go "
            "online once (HTTPS_PROXY is honoured; what has arrived is kept), copy that folder "
            f"from another machine, or name a running Kafka cluster. Cause: {error}"
        ) from error
