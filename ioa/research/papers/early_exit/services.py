"""One seed of the experiment through the real client, broker and server.

The manifest of an edge lists the packings that it allows. So that one server keeps them apart, each
of four clients uses the same edge with one of them allowed: four networks by their ids, of which
the server trains one classifier each.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ioa.research.lab.consortium import Consortium, EncoderTraining, Process
from ioa.research.lab.counts import (
    Report,
    check_answered,
    check_stored,
    count_sent,
    list_predictions,
    total,
)
from ioa.research.lab.replayed import LEARNED
from ioa.research.papers.early_exit.plan import PACKINGS, THRESHOLDS, Plan
from ioa.research.reporting.results import Figures
from schemas.vector import Packing
from stream.artefacts.encoder_files import MANIFEST, read_encoder

EDGE = "edge"
EDGES = tuple(f"{EDGE}-{packing}" for packing in PACKINGS)
"""The directory of each client's edge."""

_ATTACKED = "4000"  # images at most; the attacker learns from one half, the others are victims
_SURE = "int8"  # how the images of which the exit is not sure are asked about
# Time is not what is measured here, so a busy machine may take it.
_PATIENCE = ("--timeout", "600")
_ASKING = (*_PATIENCE, "--in-flight", "64")


def train_edge(plan: Plan, seed: int, consortium: Consortium) -> Process:
    """Start the training of the edge with its exit, on the hospital's own images."""
    training = EncoderTraining(
        *(EDGE, "client-1", plan.source, None, seed),
        public=False,
        weights="float32",
        epochs=plan.passes,
        objective="exit",
    )
    return consortium.start_training(training)


def publish_maps(
    consortium: Consortium, images: int, training: Process
) -> tuple[list[str], Figures]:
    """Start the server and let every client publish the maps of its images in its packing.

    Returns the network ids, and counts and bytes for the result file.

    Raises:
        ProcessFailed: a message was not stored.
    """
    directory, deployment = consortium.directory, consortium.deployment
    deployment.start_server()
    with consortium.story.wait("training the edge"):
        trained = deployment.finish(EDGE, training)
    for packing, own in zip(PACKINGS, EDGES, strict=True):
        allow_only(directory / EDGE, directory / own, packing)
    consortium.story.tell(f"edge trained, right at home {trained['accuracy']:.1%}")
    network_ids = consortium.register(EDGES)
    reports = consortium.publish(
        EDGES, images * len(EDGES), lambda client: ("--pack", PACKINGS[client - 1], *_PATIENCE)
    )
    record = count_sent(reports, deployment.count_stored())
    check_stored(reports, record)
    record["bytes"] = {
        packing: report["value_bytes"] / report["sent"]
        for packing, report in zip(PACKINGS, reports, strict=True)
    }
    (directory / LEARNED).write_text(json.dumps(record))
    return network_ids, record


def ask_server(
    consortium: Consortium, images: int, network_ids: Sequence[str]
) -> tuple[dict[str, Report], Figures]:
    """Wait until the server has learned; ask about every image in every packing.

    Returns what each client's ``ioa client ask --json`` prints, by packing, and counts and names.

    Raises:
        ProcessFailed: there is no classifier in time, or a question was not answered.
    """
    versions = consortium.await_classifiers(network_ids)
    reports = consortium.ask(EDGES, lambda client: ("--pack", PACKINGS[client - 1], *_ASKING))
    check_answered(list_predictions(reports), images * len(EDGES))
    return dict(zip(PACKINGS, reports, strict=True)), {
        "requests": total(reports, "sent"),
        "replies": len(list_predictions(reports)),
        "network_ids": list(network_ids),
        "model_versions": versions,
    }


def ask_when_unsure(consortium: Consortium, images: int) -> dict[str, Report]:
    """Let each client answer at home above its own threshold, and ask about the rest.

    Returns what ``ioa client ask --exit P --json`` prints, by threshold.

    Raises:
        ProcessFailed: a question was not answered.
    """
    edge = f"{EDGE}-{_SURE}"
    reports = consortium.ask(
        [edge] * len(THRESHOLDS),
        lambda client: ("--exit", THRESHOLDS[client - 1], "--pack", _SURE, *_ASKING),
    )
    check_answered(list_predictions(reports), images * len(THRESHOLDS))
    return dict(zip(THRESHOLDS, reports, strict=True))


def start_attack(consortium: Consortium) -> Process:
    """Start a decoder attack on the maps of images that nobody has learned from."""
    directory = consortium.directory
    command = ["encoder", "audit", str(directory / EDGE), "--data"]
    command += [str(directory / "unseen-1.npz"), "--attack", "reconstruction", "--pack", "int8"]
    return consortium.deployment.start("attack", [*command, "--limit", _ATTACKED, "--json"])


def allow_only(edge: Path, out: Path, packing: Packing) -> None:
    """Copy an edge into a new directory whose manifest allows one packing."""
    manifest = read_encoder(edge).manifest
    only = replace(manifest, output=replace(manifest.output, packings=(packing,)))
    shutil.copytree(edge, out)
    (out / MANIFEST).write_text(only.to_json())
