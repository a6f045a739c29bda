"""``ioa database position`` beside a service that runs."""

import json
from pathlib import Path

from stream.exchange.exchanges import LEARNING
from tests.support.commands import run
from tests.support.questions import Questions, serving


def test_a_process_that_reads_follows_a_reset(
    kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    questions = Questions(kafka, topic_prefix, LEARNING)
    with serving(questions, tmp_path) as server:
        questions.send(1, 2)
        questions.wait_for(1, 2, seconds=30)
        where = ["-b", kafka, "--database", server.settings.database_url]
        position = ["database", "position"]
        reset = run(*position, "reset", "--topic", questions.topic, "--to", "earliest", *where)
        assert reset.returncode == 0, reset.stderr
        questions.wait_for(1, 1, 2, 2, seconds=5)
        server.ingest.wait_until_ready(5)
        assert server.count_stored() == 2
        listed = json.loads(run(*position, "list", "--json", *where[2:]).stdout)
    assert {row["partition"]: row["next_offset"] for row in listed} == {0: 2, 1: 0, 2: 0, 3: 0}
