"""Answers at home where an encoder's local exit is sure; only the other images are asked about.

Seed 001, first method, at work: an exit at the edge spares the question and its answer.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.errors import InputError

Threshold = float | Literal["auto"]
THRESHOLD = "exit_threshold"
"""The name of the score in a manifest that ``auto`` takes; chosen on held-out images."""


class LocalExit:
    """The local exit of an encoder, and how sure it must be.

    Args:
        threshold: the least probability of the likeliest label, above 0 and up to 1; or ``auto``
            for the one that the encoder's manifest names.

    Raises:
        InputError: the encoder has no exit, or the threshold is not a probability.
    """

    def __init__(self, encoder: Encoder, threshold: Threshold) -> None:
        manifest = encoder.manifest
        if manifest.labels is None:
            raise InputError(
                f"encoder {encoder.encoder_id[:12]} has no local exit; train one with "
                "`ioa encoder train --objective exit`, or ask without"
            )
        if threshold == "auto":
            threshold = manifest.scores[THRESHOLD]
        if not 0 < threshold <= 1:
            raise InputError(f"exit is {threshold:g}; it must be a probability above 0, up to 1")
        self.threshold = threshold
        self.labels = manifest.labels
        self._encoder = encoder

    def answer(self, values: NDArray[np.float32]) -> list[dict[str, float] | None]:
        """Return the probabilities of each of values [N, *shape]; None where it is not sure.

        The likeliest label comes first.
        """
        probabilities = self._encoder.exit(values)
        sure = probabilities.max(axis=1, initial=0) >= self.threshold
        return [
            self._rank(row) if is_sure else None
            for row, is_sure in zip(probabilities, sure, strict=True)
        ]

    def _rank(self, row: NDArray[np.float32]) -> dict[str, float]:
        order = np.argsort(-row, kind="stable")
        return {self.labels[index]: float(row[index]) for index in order}
