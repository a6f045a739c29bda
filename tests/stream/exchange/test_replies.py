"""A reply topic that holds what is no answer, on a real broker."""

from datetime import UTC, datetime

from schemas.messages import headers as names
from schemas.messages.answers import Reply
from schemas.wire import json_form
from stream.exchange.exchanges import AnswerMessage
from stream.exchange.replies import ReplyReader
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from tests.support.topics import Headers, send_raw
from tests.support.waiting import wait_until

CLIENT = "radiology-1"


def test_what_is_no_answer_is_passed_over(kafka: str, topic_prefix: str) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    topics = Topics(topic_prefix)
    create_topics(settings, [topics.replies(CLIENT)])
    good = Reply(CLIENT, "hand", datetime(2026, 1, 1, tzinfo=UTC), probabilities={"hand": 1.0})
    nested = b"[0," * 1015 + b"0" + b"]" * 1015
    body = json_form.encode_json(good)
    headers: Headers = [(names.KIND, b"reply")]
    values = [body.replace(b'"hand"', nested, 1), nested, None, b"\xff", body]
    send_raw(kafka, topics.replies(CLIENT).name, [(value, headers) for value in values])
    reader, answers = ReplyReader(settings, CLIENT, topics), list[AnswerMessage]()

    def read() -> bool:
        answers.extend(reader.read(0.5))
        return bool(answers)

    reader.open(10.0, since=0.0)
    wait_until(read, "the answer is not read")
    reader.close()
    assert answers == [good]
