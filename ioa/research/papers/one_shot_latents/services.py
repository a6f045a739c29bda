"""One seed of the experiment through the real clients, broker and server."""

import json
from collections.abc import Sequence

from client_autoencoder.images.sets import digest
from ioa.research.lab.consortium import Consortium, EncoderTraining, Process
from ioa.research.lab.counts import (
    Report,
    check_answered,
    check_stored,
    count_sent,
    list_predictions,
    total,
)
from ioa.research.lab.parts import Parts
from ioa.research.lab.replayed import LEARNED
from ioa.research.papers.one_shot_latents.plan import Plan
from ioa.research.reporting.results import Figures

# Time is not what is measured here, so a busy machine may take it.
_PATIENCE = ("--timeout", "600")
_IN_FLIGHT = "64"
_WEIGHTS = "float32"  # as in the published tables


def encoder_of_client(plan: Plan) -> list[str]:
    """Return the directory of each client's encoder."""
    return own_encoders(plan) if plan.encoder == "own" else ["encoder"] * plan.clients


def own_encoders(plan: Plan) -> list[str]:
    """Return the directories of the encoders that each client trains for itself."""
    return [f"encoder-{client}" for client in range(1, plan.clients + 1)]


def encoder_trainings(plan: Plan, seed: int) -> list[EncoderTraining]:
    """Return the encoders that the clients use."""
    if plan.encoder == "own":
        return own_trainings(plan, seed)
    part = "public" if plan.encoder == "shared" else "client-1"
    return [_make_training(plan, "encoder", part, seed)]


def own_trainings(plan: Plan, seed: int) -> list[EncoderTraining]:
    """Return an encoder for every client, each with its own initial weights."""
    return [
        _make_training(plan, out, f"client-{client}", client_seed(plan, seed, client))
        for client, out in enumerate(own_encoders(plan), start=1)
    ]


def extra_trainings(plan: Plan, seed: int) -> list[EncoderTraining]:
    """Return the encoders that only a control needs; where clients use own encoders, none."""
    return own_trainings(plan, seed) if plan.wants_own_encoders and plan.encoder != "own" else []


def client_seed(plan: Plan, seed: int, client: int) -> int:
    """Return the seed of client 1, 2 ... for its augmented copies and its own encoder."""
    return plan.clients * seed + client


def publish_images(
    plan: Plan, parts: Parts, seed: int, consortium: Consortium, training: dict[str, Process]
) -> tuple[list[str], Figures]:
    """Start the server, and let every client publish its images.

    The deployment must be running; ``training`` are the started encoder trainings. Returns the
    encoder ids, and counts and sizes for the result file.

    Raises:
        ProcessFailed: a message was not stored.
    """

    def list_options(client: int) -> Sequence[str]:
        options = ["--dtype", plan.dtype, *_PATIENCE]
        if plan.augment:
            own_seed = str(client_seed(plan, seed, client))
            options += ["--augment", str(plan.augment), "--seed", own_seed]
        return options

    consortium.deployment.start_server()
    encoder_ids = consortium.await_encoders(training)
    messages = sum(map(len, parts.clients)) * (plan.augment + 1)
    reports = consortium.publish(encoder_of_client(plan), messages, list_options)
    record = count_sent(reports, consortium.deployment.count_stored())
    check_stored(reports, record)
    (consortium.directory / LEARNED).write_text(json.dumps(record))
    return encoder_ids, record


def answer_unseen(
    plan: Plan, parts: Parts, consortium: Consortium, encoder_ids: list[str]
) -> tuple[list[Report], Figures]:
    """Wait until the server has learned, and ask about every unseen image.

    Returns the predictions that ``ioa client ask --json`` prints, and counts and names for the
    result file.

    Raises:
        ProcessFailed: there is no classifier in time, or a question was not answered.
    """
    of_clients = encoder_ids if plan.encoder == "own" else encoder_ids * plan.clients
    versions = consortium.await_classifiers(of_clients)
    options = ("--dtype", plan.dtype, "--in-flight", _IN_FLIGHT, *_PATIENCE)
    reports = consortium.ask(encoder_of_client(plan), lambda _: options)
    predictions = list_predictions(reports)
    check_answered(predictions, len(parts.unseen))
    return predictions, {
        "requests": total(reports, "sent"),
        "replies": len(predictions),
        "encoder_ids": encoder_ids,
        "model_versions": versions,
        "digests": {
            "public": digest(parts.public.images),
            "clients": [digest(client.images) for client in parts.clients],
            "test": digest(parts.unseen.images),
        },
    }


def _make_training(plan: Plan, out: str, part: str, seed: int) -> EncoderTraining:
    return EncoderTraining(
        *(out, part, plan.source, plan.latent, seed),
        public=part == "public",
        weights=_WEIGHTS,
        epochs=plan.encoder_epochs,
    )
