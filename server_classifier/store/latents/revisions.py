"""What a latent says, as one hash, and the digest of many.

A revision covers what a site stated and nothing of how it arrived: a latent has the same one in the
live database, in a replay and in a restored backup, and another one after any of it was changed.
"""

import hashlib
from collections.abc import Iterable

import orjson

from server_classifier.store.latents.latent_row import LatentRow

REVISION_DIGITS = 32
"""Hexadecimal digits of a revision: 128 bits."""


def compute_revision(row: LatentRow) -> str:
    """Return the first 128 bits of the SHA-256 over what the site stated, in hexadecimal.

    It is hashed as one JSON list, in which no two lists of values look the same.
    """
    stated = (
        *(row.site, row.client_id, row.encoder_id, row.label, row.dtype, row.value.hex()),
        *(row.image_id, row.subject, row.aggregate_kind, row.aggregate_count),
        *(row.privacy, row.policy, row.sent_at),
    )
    return hashlib.sha256(orjson.dumps(stated)).hexdigest()[:REVISION_DIGITS]


def compute_digest(members: Iterable[tuple[str, str]]) -> str:
    """Return the SHA-256 of (messageID, revision) pairs in the order given, in hexadecimal."""
    whole = hashlib.sha256()
    for message_id, revision in members:
        whole.update(f"{message_id} {revision}\n".encode())
    return whole.hexdigest()
