"""Which messages the server accepts: registered client, registered encoder, fitting vector.

Ingestion, replays and inference ask the same questions, and every refusal names the remedy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from schemas.errors import SchemaError, shorten
from schemas.messages.latent import LABELLED, LatentMessage
from server_classifier.intake.statements import check_statements
from server_classifier.intake.taken_labels import TakenLabels
from server_classifier.store.database import reading
from server_classifier.store.errors import StoreUnavailable
from server_classifier.store.registry.entries import (
    ClientRow,
    EncoderRow,
    list_clients,
    list_encoders,
)
from stream.exchange.codec import Received
from stream.networks.packing import unpack

_MOST_NAMED = 3
_MOST_LABELS_NAMED = 5
_REFRESH_SECONDS = 1.0
_LEAST_SECONDS = 0.02


@dataclass(slots=True)
class Admitted:
    """A message that may be used, its client, and the encoder that made its latent."""

    received: Received[LatentMessage]
    client: ClientRow
    encoder: EncoderRow

    def to_floats(self) -> NDArray[np.float32]:
        """Return the latent as float32 [D], codes mapped back by the encoder's range."""
        vector, output = self.received.message.value, self.encoder.manifest.output
        return unpack([vector.data], vector.dtype, output).reshape(-1)


class Admission:
    """Checks messages against what the operator registered.

    Clients and encoders are kept in memory for a second. They are read again when a message names
    an unknown one: at most once between two calls of ``begin_batch``, and 50 times a second. So a
    name that is registered may be unknown for another fiftieth.

    Args:
        engine: the server's database.
        labels: the declared label space, or None where any label may be learned.
        clock: seconds that never go back.
        max_labels: how many labels may be learned where none are declared.
    """

    def __init__(
        self,
        engine: Engine,
        labels: Sequence[str] | None,
        clock: Callable[[], float],
        max_labels: int | None = None,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._read_at = float("-inf")
        self._labels = None if labels is None else dict.fromkeys(labels)
        self._folded = {_fold(label): label for label in labels or ()}
        self._declared = _list_few(labels or ())
        self.labels = TakenLabels(engine, max_labels if labels is None else None)
        self._clients: dict[str, ClientRow] = {}
        self._encoders: dict[str, EncoderRow] = {}
        self._fresh = False

    def begin_batch(self) -> None:
        """Read the registry again if it is old, and allow one more read for unknown names.

        Raises:
            StoreUnavailable: the database does not answer, and nothing was read before.
        """
        self._fresh = False
        if self._clock() - self._read_at >= _REFRESH_SECONDS:
            try:
                self._refresh()
            except StoreUnavailable:
                if not self._clients:
                    raise

    def knows_client(self, client_id: str | None) -> bool:
        """Tell whether a client is registered."""
        return client_id is not None and self._find_client(client_id) is not None

    def admit(self, received: Received[LatentMessage]) -> Admitted:
        """Return a valid message with its client and encoder.

        Raises:
            SchemaError: client, encoder, vector, label or what is said of them do not fit what the
                operator registered.
            StoreUnavailable: the database does not answer.
        """
        message = received.message
        client = self._find_client(message.client_id)
        if client is None:
            raise SchemaError(
                f"{message.client_id} is not registered; the operator registers it with "
                f"`ioa client add {message.client_id} --site SITE`",
                "clientID",
            )
        encoder = self._admit_encoder(message, client)
        check_statements(message, encoder)
        if LABELLED[message.mode]:
            self._check_label(message.label)
        return Admitted(received, client, encoder)

    def _admit_encoder(self, message: LatentMessage, client: ClientRow) -> EncoderRow:
        encoder_id = message.encoder_id or client.default_encoder
        if encoder_id is None:
            raise SchemaError(
                f"is missing, and client {client.client_id} has no default encoder; the operator "
                f"names one with `ioa client add {client.client_id} --site {client.site} "
                "--default-encoder ID`",
                "encoderID",
            )
        encoder = self._find_encoder(encoder_id)
        if encoder is None:
            known = ", ".join(list(self._encoders)[:_MOST_NAMED]) or "none"
            raise SchemaError(
                f"{encoder_id} is not registered (known: {known}); latents of different encoders "
                "do not mix. The operator adds one with `ioa encoder add DIRECTORY`",
                "encoderID",
            )
        return encoder

    def _check_label(self, label: str) -> None:
        if self._labels is None or label in self._labels:
            return
        meant = self._folded.get(_fold(label))
        hint = f"did you mean {meant!r}?" if meant else self._declared
        raise SchemaError(f"{shorten(label)} is not a declared label; {hint}", "label")

    def _find_client(self, client_id: str) -> ClientRow | None:
        if client_id not in self._clients:
            self._refresh()
        return self._clients.get(client_id)

    def _find_encoder(self, encoder_id: str) -> EncoderRow | None:
        if encoder_id not in self._encoders:
            self._refresh()
        return self._encoders.get(encoder_id)

    def _refresh(self) -> None:
        # Unknown names must not make every batch of one record a look into the database.
        if self._fresh or self._clock() - self._read_at < _LEAST_SECONDS:
            return
        with reading(self._engine) as connection:
            self._clients = {row.client_id: row for row in list_clients(connection)}
            self._encoders = {row.encoder_id: row for row in list_encoders(connection)}
        self._fresh = True
        self._read_at = self._clock()


def _fold(label: str) -> str:
    """Return a label without case and blanks."""
    return "".join(label.casefold().split())


def _list_few(labels: Sequence[str]) -> str:
    named = ", ".join(map(repr, labels[:_MOST_LABELS_NAMED]))
    more = len(labels) - _MOST_LABELS_NAMED
    return f"declared are {named} and {more} more" if more > 0 else f"declared are {named}"
