"""A client written from the paper alone: its JSON over plain Kafka, without our code."""

import json
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition

bootstrap, prefix, value = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "app2"})
consumer.assign([TopicPartition(f"{prefix}.replies.app2", 0, 0)])
producer = Producer({"bootstrap.servers": bootstrap})
for mode, label in (("learning", "hand"), ("service", "")):
    message = {"clientID": "app2", "label": label, "value": value, "mode": mode}
    message["timestamp"] = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    producer.produce(f"{prefix}.{mode}", json.dumps({"message": message}))
    producer.flush()
    answer = consumer.poll(20)
    print(answer.value().decode())
consumer.close()
