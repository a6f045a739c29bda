"""One seed of the experiment through the real clients, broker and server."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from client_autoencoder.images.sets import digest
from ioa.research.lab.consortium import Consortium, EncoderTraining, Process, Report, total
from ioa.research.lab.deployment import ProcessFailed
from ioa.research.lab.parts import CLIENTS, Parts
from ioa.research.papers.one_shot_latents.division import Division
from ioa.research.papers.one_shot_latents.plan import Plan

OWN_ENCODERS = [f"encoder-{client}" for client in range(1, CLIENTS + 1)]
LEARNED = "learned.json"
# Time is not what is measured here, so a busy machine may take it.
_PATIENCE = ("--timeout", "600")
_IN_FLIGHT = "64"
_WEIGHTS = "float32"  # as in the published tables


@dataclass(frozen=True)
class Learned:
    """What the database holds, and how it came there.

    Attributes:
        encoder_ids: the encoders that the clients use.
        record: counts, sizes and names for the result file.
    """

    encoder_ids: list[str]
    record: dict[str, Any]


@dataclass(frozen=True)
class Answered:
    """What came back, and what it took.

    Attributes:
        predictions: one per unseen image, as ``ioa client ask --json`` prints them.
        record: counts, sizes and names for the result file.
    """

    predictions: list[dict[str, Any]]
    record: dict[str, Any]


def encoder_of_client(plan: Plan) -> list[str]:
    """Return the directory of each client's encoder."""
    return OWN_ENCODERS if plan.encoder == "own" else ["encoder"] * CLIENTS


def encoder_trainings(plan: Plan, seed: int) -> list[EncoderTraining]:
    """Return the encoders that the clients use."""
    if plan.encoder == "own":
        return own_trainings(plan, seed)
    part, public = ("public", True) if plan.encoder == "shared" else ("client-1", False)
    return [
        EncoderTraining(
            "encoder",
            part,
            plan.source,
            plan.latent,
            seed,
            public,
            weights=_WEIGHTS,
            epochs=plan.encoder_epochs,
        )
    ]


def own_trainings(plan: Plan, seed: int) -> list[EncoderTraining]:
    """Return an encoder for every client, with initial weights of its own."""
    return [
        EncoderTraining(
            out,
            f"client-{client}",
            plan.source,
            plan.latent,
            client_seed(seed, client),
            public=False,
            weights=_WEIGHTS,
            epochs=plan.encoder_epochs,
        )
        for client, out in enumerate(OWN_ENCODERS, start=1)
    ]


def client_seed(seed: int, client: int) -> int:
    """Return the seed of what client 1, 2 ... does for itself: its copies, its own encoder."""
    return CLIENTS * seed + client


def publish_images(
    plan: Plan, division: Division, seed: int, consortium: Consortium, training: dict[str, Process]
) -> Learned:
    """Start the server, and let every client publish its images.

    The deployment must be running; ``training`` are the started encoder trainings.

    Raises:
        ProcessFailed: a message was not stored.
    """
    consortium.deployment.start_server()
    encoder_ids = consortium.await_encoders(training)
    sent = consortium.publish(
        encoder_of_client(plan),
        sum(map(len, division.parts.clients)) * (plan.augment + 1),
        lambda number: _publish_options(plan, client_seed(seed, number)),
    )
    stored = consortium.deployment.count_stored()
    _check_learned(sent, stored)
    record = {
        "sent": total(sent, "sent"),
        "acknowledged": total(sent, "acknowledged"),
        "stored": stored,
        "latent_bytes": total(sent, "value_bytes") // total(sent, "sent"),
        "message_bytes": total(sent, "message_bytes") // total(sent, "sent"),
    }
    (consortium.directory / LEARNED).write_text(json.dumps(record))
    return Learned(encoder_ids, record)


def answer_unseen(
    plan: Plan, division: Division, consortium: Consortium, learned: Learned
) -> Answered:
    """Wait until the server has learned, and ask about every unseen image.

    Raises:
        ProcessFailed: there is no classifier in time, or a question was not answered.
    """
    encoders, ids = encoder_of_client(plan), learned.encoder_ids
    versions = consortium.await_classifiers(ids if plan.encoder == "own" else ids * CLIENTS)
    answered = consortium.ask(
        encoders, "--dtype", plan.dtype, "--in-flight", _IN_FLIGHT, *_PATIENCE
    )
    predictions = [one for report in answered for one in report["predictions"]]
    _check_answered(predictions, len(division.parts.unseen))
    record = {
        **learned.record,
        "requests": total(answered, "sent"),
        "replies": len(predictions),
        "encoder_ids": ids,
        "model_versions": versions,
        "digests": _sum_up(division.parts),
    }
    return Answered(predictions, record)


def _sum_up(parts: Parts) -> dict[str, Any]:
    return {
        "public": digest(parts.public.images),
        "clients": [digest(client.images) for client in parts.clients],
        "test": digest(parts.unseen.images),
    }


def _publish_options(plan: Plan, seed: int) -> Sequence[str]:
    options = ["--dtype", plan.dtype, *_PATIENCE]
    if plan.augment:
        options += ["--augment", str(plan.augment), "--seed", str(seed)]
    return options


def _check_learned(reports: list[Report], stored: int) -> None:
    sent = total(reports, "sent")
    if sent == total(reports, "acknowledged") == stored:
        return
    reasons = [reason for report in reports for reason in report["refused"].values()]
    raise ProcessFailed(
        f"{sent} latents were sent and {stored} stored; refused: "
        f"{reasons[0] if reasons else 'none, some were not answered in time'}"
    )


def _check_answered(predictions: list[dict[str, Any]], asked: int) -> None:
    errors = [one["error"] for one in predictions if one["error"] is not None]
    if errors or len(predictions) != asked:
        raise ProcessFailed(
            f"{asked} images were asked about and {len(predictions) - len(errors)} answered; "
            f"errors: {errors[0] if errors else 'none'}"
        )
