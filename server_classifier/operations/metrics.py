"""The metrics of the server's services, for Prometheus; all begin with ``ioa_``.

They are counted once for each batch, never for each record. Labels take few values, and no metric
names a client, a label or anything else from a message.
"""

import math
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from stream.health import DEPENDENCIES, Health

_BATCH_BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)
_TRAINING_BUCKETS = (1, 2, 5, 10, 20, 60, 120, 300, 600, 1800)


class BatchMetrics:
    """How many records were handled, and how long a batch took.

    Args:
        registry: takes the metrics, here and below; with None they cannot be read.
    """

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self._records = Counter(
            "ioa_consumed_records", "Records read and done with.", registry=registry
        )
        self._seconds = Histogram(
            "ioa_batch_seconds",
            "Handling a batch, from reading it until all its answers are delivered; "
            "failed tries are left out.",
            buckets=_BATCH_BUCKETS,
            registry=registry,
        )

    def count(self, records: int, seconds: float) -> None:
        """Count one batch."""
        self._records.inc(records)
        self._seconds.observe(seconds)


def count_dead_letters(registry: CollectorRegistry | None) -> Counter:
    """Return the counter of dead letters."""
    return Counter(
        "ioa_dead_letters",
        "Dead letters handed over for delivery; those of a repeated batch count again.",
        registry=registry,
    )


def show_drift(registry: CollectorRegistry | None) -> Gauge:
    """Return the gauge of differences between the cluster's topics and the table."""
    return Gauge(
        "ioa_topic_drift",
        "Ways in which topics were not as they should be at the start; the log names them.",
        registry=registry,
    )


class Outcomes:
    """What became of messages: a counter with the label ``outcome``.

    Args:
        name: of the metric, without ``_total``.
        outcomes: all that exist; each is shown from the start.
    """

    def __init__(
        self, name: str, text: str, outcomes: tuple[str, ...], registry: CollectorRegistry | None
    ) -> None:
        counter = Counter(name, text, ["outcome"], registry=registry)
        self._counters = {outcome: counter.labels(outcome) for outcome in outcomes}

    def count(self, **numbers: int) -> None:
        """Add to the outcomes, for example ``count(stored=10, refused=1)``."""
        for outcome, number in numbers.items():
            self._counters[outcome].inc(number)


def count_learning(registry: CollectorRegistry | None) -> Outcomes:
    """Return the counters of learning messages; ``known`` ones were stored before."""
    text = "Learning messages by what became of them."
    return Outcomes("ioa_learning_messages", text, ("stored", "known", "refused"), registry)


class LabelMetrics:
    """How many labels the deployment has taken, and how many it may take.

    Args:
        maximum: None where there is no limit.
    """

    def __init__(self, registry: CollectorRegistry | None, maximum: int | None) -> None:
        self._taken = Gauge(
            "ioa_labels",
            "Labels that were taken, since the first message after a start.",
            registry=registry,
        )
        limit = Gauge(
            "ioa_labels_maximum",
            "Labels that may be taken; a message with one more becomes a dead letter.",
            registry=registry,
        )
        limit.set(math.inf if maximum is None else maximum)

    def show(self, taken: int) -> None:
        """Show how many labels are taken."""
        self._taken.set(taken)


def count_service(registry: CollectorRegistry | None) -> Outcomes:
    """Return the counters of service messages; ``unanswerable`` ones found no fitting model."""
    text = "Service messages by what became of them."
    outcomes = ("answered", "unanswerable", "refused", "expired")
    return Outcomes("ioa_service_messages", text, outcomes, registry)


class TrainingMetrics:
    """Trainings by outcome and duration, and how many latents are trained on or new."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self.outcomes = Outcomes(
            "ioa_trainings",
            "Trainings by their end; a trained one is a new classifier version.",
            ("trained", "failed"),
            registry,
        )
        self._seconds = Histogram(
            "ioa_training_seconds",
            "Training one classifier, without reading its rows.",
            buckets=_TRAINING_BUCKETS,
            registry=registry,
        )
        self._labels = Gauge(
            "ioa_trained_labels", "Labels of the classifier trained last.", registry=registry
        )
        self._rows = Gauge(
            "ioa_trained_rows",
            "Latents that the newest classifiers learned, one classifier for each encoder.",
            registry=registry,
        )
        self._new_rows = Gauge(
            "ioa_untrained_rows", "Latents stored since the last training.", registry=registry
        )

    def count_training(self, seconds: float, labels: int) -> None:
        """Count a training that gave a classifier of so many labels."""
        self._labels.set(labels)
        self.outcomes.count(trained=1)
        self._seconds.observe(seconds)

    def show_rows(self, *, trained: int, new: int) -> None:
        """Show how many latents the newest classifiers learned, and how many came since."""
        self._rows.set(trained)
        self._new_rows.set(new)


class HealthMetrics(Collector):
    """The state of a service as metrics, read at every scrape."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        """Yield readiness, waits, and position and lag of each partition."""
        faults = self._health.find_faults()
        yield GaugeMetricFamily(
            "ioa_ready", "1 while the service does its work.", value=0 if faults else 1
        )
        seconds = {fault.what: fault.seconds for fault in faults}
        waiting = GaugeMetricFamily(
            "ioa_dependency_waiting_seconds",
            "Since when a dependency is waited for; 0 where it is not.",
            labels=["dependency"],
        )
        waits = CounterMetricFamily(
            "ioa_dependency_waits", "How often a dependency went away.", labels=["dependency"]
        )
        for dependency in DEPENDENCIES:
            waiting.add_metric([dependency], seconds.get(dependency, 0.0))
            waits.add_metric([dependency], self._health.condition.waits.get(dependency, 0))
        yield waiting
        yield waits
        yield from self._progress()

    def _progress(self) -> Iterator[Metric]:
        labels = ["topic", "partition"]
        position = GaugeMetricFamily(
            "ioa_partition_position", "Offset of the next record to be handled.", labels=labels
        )
        lag = GaugeMetricFamily(
            "ioa_partition_lag", "Offsets that are left to be handled.", labels=labels
        )
        for (topic, partition), progress in self._health.condition.progress.items():
            if progress.position is not None:
                position.add_metric([topic, str(partition)], progress.position)
            if progress.lag is not None:
                lag.add_metric([topic, str(partition)], progress.lag)
        yield position
        yield lag
