"""What the reports of the clients come to."""

from typing import Any

import pytest

from ioa.research.papers.early_exit.tables import describe_exit


def answer(label: str, *, at_home: bool) -> dict[str, Any]:
    return {"label": label, "true_label": "a", "at_home": at_home}


def test_an_exit_is_judged_on_what_it_answers_and_on_all() -> None:
    answers = [answer("a", at_home=True), answer("b", at_home=True), answer("a", at_home=False)]
    figures = describe_exit({"predictions": [*answers, answers[2]], "saved_bytes": 20}, asked=1.0)
    assert figures == {
        "share_at_home": 0.5,
        "accuracy": 0.75,
        "lost": 0.25,
        "saved_bytes": 5,
        "accuracy_at_home": 0.5,
    }


def test_an_exit_that_answers_nothing_has_no_accuracy_at_home() -> None:
    figures = describe_exit(
        {"predictions": [answer("a", at_home=False)], "saved_bytes": 0}, asked=1.0
    )
    assert "accuracy_at_home" not in figures
    assert figures["lost"] == pytest.approx(0)
