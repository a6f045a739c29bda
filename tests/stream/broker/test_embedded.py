"""The owned broker: ready, durable, and loud when it cannot be."""

import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from stream.broker.embedded import EmbeddedBroker
from stream.broker.errors import BrokerError, PortTaken
from stream.broker.properties import Ports, read_ports
from tests.support.topics import send_raw

MIB = 2**20


def create_topic(bootstrap: str, name: str, **config: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, 1, 1, config=config)])[name].result(10)


def read_values(bootstrap: str, topic: str, count: int) -> list[bytes]:
    # Without a commit at its end the consumer needs no group coordinator, which takes 2 s to come.
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": topic, "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    messages = [consumer.poll(10) for _ in range(count)]
    consumer.close()
    return [message.value() or b"" for message in messages if message is not None]


@pytest.mark.parametrize("size", [100, 65 * MIB - 1024], ids=["small", "65MiB"])
def test_records_pass_unchanged(kafka: str, topic_prefix: str, size: int) -> None:
    topic, value = f"{topic_prefix}.records", os.urandom(size)
    create_topic(kafka, topic, **{"max.message.bytes": str(65 * MIB)})

    send_raw(kafka, topic, [(value, [])], largest=65 * MIB)

    assert read_values(kafka, topic, 1) == [value]


def test_data_and_address_are_kept_between_starts(tmp_path: Path) -> None:
    directory = tmp_path / "with space, comma and ü"
    directory.mkdir()
    (directory / "broker.pid").write_text("1\n")  # left by a crash, the number reused since
    with EmbeddedBroker(directory) as broker:
        address = broker.bootstrap_servers
        create_topic(address, "kept")
        send_raw(address, "kept", [(b"one", []), (b"two", [])])
    assert (directory / "data" / ".kafka_cleanshutdown").exists()
    assert not (directory / "broker.pid").exists()

    with EmbeddedBroker(directory) as broker:
        assert broker.bootstrap_servers == address
        assert read_values(address, "kept", 2) == [b"one", b"two"]
        with pytest.raises(BrokerError, match=f"process {broker.pid} already runs"):
            EmbeddedBroker(directory).start()
        os.kill(broker.pid, signal.SIGKILL)
        with pytest.raises(BrokerError, match="killed by SIGKILL"):
            broker.wait()


def test_a_chosen_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {port} .* --port"):
            EmbeddedBroker(tmp_path, port=port).start()


def test_ports_that_nobody_chose_are_replaced_when_taken(kafka: str, tmp_path: Path) -> None:
    """Another Kafka has the port of the last start; then a thief takes the new one in mid-start."""
    kept = f"PLAINTEXT://{kafka},CONTROLLER://127.0.0.1:1"
    (tmp_path / "server.properties").write_text(f"ioa.port.fixed=false\nlisteners={kept}\n")
    with ExitStack() as stack, ThreadPoolExecutor(1) as pool:
        theft = pool.submit(steal_port, tmp_path, stack)
        broker = stack.enter_context(EmbeddedBroker(tmp_path))

        assert broker.bootstrap_servers not in (kafka, theft.result())
        assert broker.bootstrap_servers == listening_at(tmp_path).bootstrap_servers
        pid = broker.pid
    assert not psutil.pid_exists(pid)


def steal_port(directory: Path, stack: ExitStack) -> str:
    """Listen on the broker's port after it was found free and before Java can take it."""
    while not (directory / "broker.pid").exists():
        time.sleep(0.005)
    ports = listening_at(directory)
    stack.enter_context(socket.create_server(("127.0.0.1", ports.client)))
    return ports.bootstrap_servers


def listening_at(directory: Path) -> Ports:
    ports = read_ports(directory)
    assert ports is not None
    return ports


def test_an_unstarted_broker_says_how_to_start_it(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="with block"):
        _ = EmbeddedBroker(tmp_path).bootstrap_servers
