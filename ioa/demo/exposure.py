"""How much of an image its latent gives away: an attacker restores the unseen images."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from client_autoencoder.audit.reconstruction_attack import ReconstructionAttack
from client_autoencoder.audit.released_latents import released_latents
from client_autoencoder.encoders.files import load_autoencoder
from client_autoencoder.encoders.runtime import Encoder
from ioa.demo.picture import draw_demo
from ioa.research.lab.parts import Parts

_SHOWN = 10


def measure_exposure(images: Parts, encoder: Encoder, directory: Path, seed: int) -> dict[str, Any]:
    """Train the attacker on the public images and their latents, attack, and draw ``demo.png``.

    Returns the scores beside the floor and one example: original and restored, [H][W] in 0..1.

    The latents are those that travelled: int8 codes, mapped back.
    """
    public = released_latents(encoder, images.public.images)
    unseen = released_latents(encoder, images.unseen.images)
    attack = ReconstructionAttack.train(
        images.public.images, public, torch.Generator().manual_seed(seed)
    )
    report = attack.report(images.unseen.images, unseen)
    chosen = _one_per_class(images.unseen.labels)
    decoder = load_autoencoder(directory / "encoder").decoder
    with torch.no_grad():
        reconstructions = decoder(torch.from_numpy(unseen[chosen])).clamp(0, 1).numpy()
    originals = images.unseen.images[chosen, 0]
    restored = attack.restore(unseen[chosen])[:, 0]
    draw_demo(
        directory / "demo.png",
        originals=originals,
        latents=unseen[chosen],
        reconstructions=reconstructions[:, 0],
        restored=restored,
        labels=[str(images.unseen.labels[index]) for index in chosen],
        restored_psnr=report.attack.psnr_db,
    )
    example = int(originals.std(axis=(1, 2)).argmax())  # what shows best on a terminal
    return {
        "attack": asdict(report.attack),
        "floor": asdict(report.floor),
        "original": originals[example].tolist(),
        "restored": restored[example].tolist(),
    }


def _one_per_class(labels: list[str | None]) -> list[int]:
    return [labels.index(label) for label in sorted(set(labels), key=str)][:_SHOWN]
