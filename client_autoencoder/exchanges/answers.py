"""The answers about images that were handed over in memory, in the order of the images."""

from dataclasses import dataclass

from client_autoencoder.exchanges.service import ServiceReport
from client_autoencoder.images.given import name_image


@dataclass(frozen=True)
class Answers:
    """What the server answered about N images, in their order.

    Attributes:
        labels: [N]; None where there is no answer.
        probabilities: [N]; of each label, adding up to 1, as in ``probabilities[0]["ring"]``;
            empty where there is no answer.
        errors: [N]; why there is no answer, None where there is one.
        report: everything else, such as the seconds that each answer took.

    Example:
        >>> answers = client.ask(images[:2])
        >>> answers.labels
        ['bar', 'ring']
        >>> round(sum(answers.probabilities[0].values()), 3)
        1.0
        >>> answers.unanswered
        0
    """

    labels: list[str | None]
    probabilities: list[dict[str, float]]
    errors: list[str | None]
    report: ServiceReport

    @property
    def model_version(self) -> str | None:
        """The classifier that gave the last answer; None without any.

        Where a new one took over meanwhile, ``report.predictions`` says which gave each answer.
        """
        versions = [prediction.model_version for prediction in self.report.answered]
        return versions[-1] if versions else None

    @property
    def unanswered(self) -> int:
        """How many images have no answer."""
        return self.labels.count(None)


def put_in_order(report: ServiceReport, count: int, timeout: float) -> Answers:
    """Return the answers about ``count`` images of which ``report`` tells by name.

    Args:
        timeout: seconds until a question expired, for the errors.
    """
    given = {prediction.name: prediction for prediction in report.predictions}
    expired = set(report.expired)
    answers = Answers([], [], [], report)
    for name in map(name_image, range(count)):
        prediction = given.get(name)
        if prediction is None:
            error: str | None = _explain(name in expired, timeout)
        else:
            error = prediction.error
        answered = prediction if error is None else None
        answers.labels.append(None if answered is None else answered.label)
        answers.probabilities.append({} if answered is None else answered.probabilities)
        answers.errors.append(error)
    return answers


def _explain(asked: bool, timeout: float) -> str:
    if asked:
        return f"no answer within {timeout:g} s: is the broker there, and `ioa server run` running?"
    return "was not asked about, since nobody answered the questions before"
