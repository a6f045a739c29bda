"""The tables of one seed: accuracy, bytes, seconds and modelled time of every way to train."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.images.batches import ImageBatch
from ioa.research.lab.counts import Report
from ioa.research.papers.early_exit.division import Division
from ioa.research.papers.early_exit.link import (
    ALONE,
    AT_ONCE,
    RAW,
    SPLIT,
    Course,
    list_courses,
    name_once,
)
from ioa.research.papers.early_exit.plan import Plan
from ioa.research.papers.early_exit.seconds import BATCH
from ioa.research.reporting.results import Figures


@dataclass(frozen=True)
class Measured:
    """What the processes of one seed have measured.

    Attributes:
        references: as ``references.measure`` returns it.
        attack: what ``ioa encoder audit --json`` printed.
        by_packing, by_threshold: what ``ioa client ask --json`` printed.
        bytes: of the maps of an image, by packing.
    """

    references: Figures
    attack: Sequence[Figures]
    by_packing: Mapping[str, Report]
    by_threshold: Mapping[str, Report]
    bytes: Mapping[str, float]


def tabulate(plan: Plan, division: Division, measured: Measured, edge: Encoder) -> Figures:
    """Return accuracies, the exit when it is sure, and the courses with their modelled seconds."""
    images, hits = len(division.learned), measured.references["hits"]
    raw = float(np.prod(division.learned.images.shape[1:]))
    courses = list_courses(
        measured.references["seconds"],
        {"raw": raw, **measured.bytes},
        steps=-(-images // BATCH),
        epochs=plan.passes,
    )
    centre = float(np.mean(hits["centre"]))
    asked = {packing: _rate(report) for packing, report in measured.by_packing.items()}
    accuracy = {
        RAW: centre,
        SPLIT: centre,  # the same gradients
        AT_ONCE: float(np.mean(hits["at_once"])),
        **{name_once(packing): share for packing, share in asked.items()},
        ALONE: _answer_at_home(edge, division.unseen),
    }
    return {
        "accuracy": accuracy,
        "lost": {name: centre - share for name, share in accuracy.items()},
        "courses": {name: _describe(course, plan, images) for name, course in courses.items()},
        "exit": {
            threshold: describe_exit(report, asked["int8"])
            for threshold, report in measured.by_threshold.items()
        },
        "attack": _describe_attack(measured.attack),
    }


def _describe(course: Course, plan: Plan, images: int) -> Figures:
    def model(slowness: float) -> dict[str, float]:
        return {
            f"{mbps:g}": course.model_seconds(images, plan.passes, mbps, slowness)
            for mbps in plan.mbps
        }

    return {
        "bytes_up": course.up,
        "bytes_down": course.down,
        "sendings": course.sendings,
        "round_trips": course.round_trips,
        "edge_seconds": course.edge,
        "cloud_seconds": course.cloud,
        "encoding_seconds": course.encoding,
        "side_by_side": int(course.side_by_side),
        "wall_equal": model(1.0),
        "wall_slower": model(plan.edge_slower),
    }


def describe_exit(report: Report, asked: float) -> Figures:
    """Say what the exit answers, and the points lost against asking about every image."""
    answers = report["predictions"]
    at_home = [answer for answer in answers if answer["at_home"]]
    share = _rate(report)
    figures = {
        "share_at_home": len(at_home) / len(answers),
        "accuracy": share,
        "lost": asked - share,
        "saved_bytes": report["saved_bytes"] / len(answers),
    }
    if at_home:
        figures["accuracy_at_home"] = _rate({"predictions": at_home})
    return figures


def _describe_attack(rows: Sequence[Figures]) -> Figures:
    """Return what the attacker gets of each release, and without any."""
    reached = {f"maps as {row['release']}": row["reached"] for row in rows}
    figures = {**reached, "the mean image": rows[0]["floor"]}
    return {
        name: {score: scores[score] for score in ("psnr_db", "ssim", "skill")}
        for name, scores in figures.items()
    }


def _rate(report: Report) -> float:
    answers = report["predictions"]
    return float(np.mean([answer["label"] == answer["true_label"] for answer in answers]))


def _answer_at_home(edge: Encoder, unseen: ImageBatch) -> float:
    labels = np.array(edge.manifest.labels)
    chosen = labels[edge.exit(edge.encode(unseen.images)).argmax(axis=1)]
    return float((chosen == np.array(unseen.labels)).mean())
