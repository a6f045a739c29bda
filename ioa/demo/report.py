"""What the demo found, as text for people and as JSON for machines."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class DemoReport:
    """The figures of one demo; accuracies from 0 to 1, sizes in bytes, times as named."""

    sent: int
    acknowledged: int
    stored: int
    requests: int
    replies: int
    accuracy: float
    accuracy_per_class: dict[str, float]
    accuracy_one_client: float
    accuracy_pixels: float
    latency_ms_p50: float
    latency_ms_p99: float
    latent_bytes: int
    message_bytes: int
    image_bytes: int
    attack_psnr_db: float
    attack_ssim: float
    floor_psnr_db: float
    encoder_id: str
    model_version: str
    data: str
    skipped: int
    seconds: float
    picture: str

    @property
    def agrees(self) -> bool:
        """Whether nothing was lost, doubled or left unanswered."""
        return self.sent == self.acknowledged == self.stored and self.requests == self.replies

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, numbers rounded to what is worth reading."""
        return {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


def summarise_latencies(seconds: list[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile in milliseconds."""
    p50, p99 = np.percentile(np.array(seconds) * 1000, [50, 99])
    return float(p50), float(p99)


def print_report(console: Console, report: DemoReport) -> None:
    """Print the figures as a person reads them, and what they mean."""
    counts = Table.grid(padding=(0, 2))
    counts.add_row(
        "learning",
        f"sent {report.sent}  acknowledged {report.acknowledged}  stored {report.stored}",
    )
    counts.add_row(
        "service",
        f"requests {report.requests}  replies {report.replies}  by model {report.model_version}",
    )
    counts.add_row(
        "latency",
        f"p50 {report.latency_ms_p50:.1f} ms  "
        f"p99 {report.latency_ms_p99:.1f} ms, question to answer over Kafka",
    )
    counts.add_row(
        "bytes",
        f"latent {report.latent_bytes}, whole message {report.message_bytes}, "
        f"raw image {report.image_bytes}",
    )
    console.print(counts)
    console.print(_accuracy_table(report))
    console.print(
        f"[bold]What a latent gives away:[/] an attacker who has the encoder and other images "
        f"restored the unseen images to {report.attack_psnr_db:.1f} dB (SSIM "
        f"{report.attack_ssim:.2f}; a constant guess reaches {report.floor_psnr_db:.1f} dB): "
        "latents without a privatizer are personal data, treat them as you treat the images.",
    )
    console.print(f"picture: {report.picture}", soft_wrap=True)
    if not report.agrees:
        console.print("[bold red]The counts disagree: messages were lost or unanswered.[/]")


def print_next_commands(console: Console, kept: Path | None) -> None:
    """Print what to type next, for one's own folder and for a real cluster."""
    lines = [
        "",
        "[bold]Next, your own images[/] (one folder per class, or an NPZ file):",
        "  ioa demo --data path/to/images",
        "[bold]On a real cluster:[/]",
        "  ioa encoder train --data path/to/public-images --size 28 --out encoder",
        "  ioa server encoder add encoder",
        "  ioa server client add radiology-1 --site st-mary -b kafka:9092",
        "  ioa server run -b kafka:9092",
        "  ioa client publish -b kafka:9092 --client-id radiology-1 --encoder encoder "
        "--data path/to/images",
        "  ioa client ask -b kafka:9092 --client-id radiology-1 --encoder encoder --data new.png",
    ]
    if kept is not None:
        lines.append(f"Everything of this run, with the commands and logs, is in {kept}")
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)


def _accuracy_table(report: DemoReport) -> Table:
    table = Table("accuracy on unseen images", "", box=None, padding=(0, 2), title_justify="left")
    table.add_row("five clients together", f"[bold]{report.accuracy:.1%}[/]")
    table.add_row("control: one client alone", f"{report.accuracy_one_client:.1%}")
    table.add_row("control: raw pixels of all five", f"{report.accuracy_pixels:.1%}")
    classes = "  ".join(f"{name} {value:.0%}" for name, value in report.accuracy_per_class.items())
    table.add_row("per class", classes)
    return table
