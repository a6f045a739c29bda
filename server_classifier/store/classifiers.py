"""The versions of classifiers, each an ONNX file and a manifest; never changed, only added."""

import hashlib
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, insert, select

from server_classifier.store.tables import classifier


class ClassifierRow(NamedTuple):
    """One version, ready for ``prediction.Classifier.load``; ``manifest`` is JSON."""

    version: str
    encoder_id: str
    manifest: str
    trained_at: datetime
    onnx: bytes


class VersionRow(NamedTuple):
    """One version without its file."""

    version: str
    encoder_id: str
    manifest: str
    trained_at: datetime


VERSION_COLUMNS = [classifier.c[name] for name in VersionRow._fields]


def add_classifier(
    connection: Connection, *, encoder_id: str, onnx: bytes, manifest: str, now: datetime
) -> str:
    """Store a trained classifier and return its version: ``v<number>-<12 hex of the sha256>``.

    Two trainers that add at the same moment get different numbers on SQLite; on PostgreSQL the
    second fails on the primary key, and its process with it.
    """
    number = (connection.scalar(select(func.max(classifier.c.id))) or 0) + 1
    version = f"v{number}-{hashlib.sha256(onnx).hexdigest()[:12]}"
    row = ClassifierRow(version, encoder_id, manifest, now, onnx)
    connection.execute(insert(classifier).values({"id": number} | row._asdict()))
    return version


def latest_classifier(connection: Connection, encoder_id: str) -> ClassifierRow | None:
    """Return the newest classifier for an encoder's latents, or None before the first."""
    row = connection.execute(
        select(*VERSION_COLUMNS, classifier.c.onnx)
        .where(classifier.c.encoder_id == encoder_id)
        .order_by(classifier.c.id.desc())
        .limit(1)
    ).first()
    return None if row is None else ClassifierRow._make(row)


def latest_versions(connection: Connection) -> dict[str, str]:
    """Return the newest version of each encoder, by encoder id; cheap to ask every second."""
    newest = select(func.max(classifier.c.id)).group_by(classifier.c.encoder_id)
    rows = connection.execute(
        select(classifier.c.encoder_id, classifier.c.version).where(classifier.c.id.in_(newest))
    )
    return {encoder_id: version for encoder_id, version in rows}


def list_classifiers(connection: Connection) -> list[VersionRow]:
    """Return all versions, the newest first."""
    rows = connection.execute(select(*VERSION_COLUMNS).order_by(classifier.c.id.desc()))
    return [VersionRow._make(row) for row in rows]
