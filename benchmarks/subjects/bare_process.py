"""The least that a process costs: imports libraries and reads one record.

Run by ``benchmarks/processes.py``, which sets the environment variables and names the libraries as
arguments. It validates and decodes nothing and gives no guarantee.
"""

import os
import sys
import time
from importlib import import_module

from confluent_kafka import Consumer, TopicPartition


def main() -> None:
    for library in sys.argv[1:]:
        import_module(library)
    consumer = Consumer(
        {
            "bootstrap.servers": os.environ["IOA_KAFKA__BOOTSTRAP_SERVERS"],
            "group.id": "bare",
            "auto.offset.reset": "earliest",
        }
    )
    topic = f"{os.environ['IOA_KAFKA__PREFIX']}.learning"
    consumer.assign([TopicPartition(topic, 0, 0)])
    while consumer.poll(0.1) is None:
        pass
    print("read", flush=True)
    time.sleep(600)  # until it is killed, after its memory was measured


if __name__ == "__main__":
    main()
