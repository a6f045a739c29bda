"""The revision of a latent, which is a hash of what its site stated, and the digest of many.

A revision covers nothing of how a latent arrived. So it is the same in the live database, in a
replay and in a restored backup, and another one after anything that the site stated was changed.
"""

import hashlib
from collections.abc import Iterable

import orjson

from server_classifier.store.latents.latent_row import LatentRow

REVISION_DIGITS = 32
"""Hexadecimal digits of a revision: 128 bits."""


def compute_revision(row: LatentRow) -> str:
    """Return the first 128 bits of the SHA-256 over what the site stated, in hexadecimal.

    The values are hashed as a JSON list: two different lists of values never give the same text.
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
