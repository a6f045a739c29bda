"""The results of the demo, as text for people and as JSON for machines."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

_SHADES = " .:-=+*#%@"
_TEXT_PIXELS = 16


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
    restored_example: str
    encoder_id: str
    model_version: str
    data: str
    skipped: int
    seconds: float

    @property
    def agrees(self) -> bool:
        """Whether nothing was lost, doubled or left unanswered."""
        return self.sent == self.acknowledged == self.stored and self.requests == self.replies

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, rounded to four digits."""
        return {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in asdict(self).items()
            if name != "restored_example"
        }


def draw_pair(original: list[list[float]], restored: list[list[float]]) -> str:
    """Return two images [H][W] in 0..1 side by side as text, at most 16 pixels wide each."""
    step = -(-len(original[0]) // _TEXT_PIXELS)
    width = 2 * (-(-len(original[0]) // step))
    lines = [f"{'original':<{width}}   restored by an attacker from the message"]
    for left, right in zip(original[::step], restored[::step], strict=True):
        lines.append(f"{_shade(left[::step])}   {_shade(right[::step])}".rstrip())
    return "\n".join(lines)


def _shade(row: list[float]) -> str:
    return "".join(2 * _SHADES[round(value * (len(_SHADES) - 1))] for value in row)


def print_report(console: Console, report: DemoReport, picture: Path) -> None:
    """Print the figures for people, and what they mean."""
    console.print(_figures(report))
    console.print()
    console.print(report.restored_example, highlight=False)
    console.print(
        "[bold]What a latent gives away:[/] an attacker with the encoder and other images "
        f"restores the unseen ones to {report.attack_psnr_db:.1f} dB (the mean image reaches "
        f"{report.floor_psnr_db:.1f} dB). Without a mechanism a latent is as personal as the "
        "image: protect it as you protect the image."
    )
    console.print(f"Picture: {picture}", soft_wrap=True, highlight=False)
    if not report.agrees:
        console.print("[bold red]The counts disagree: messages were lost or left unanswered.[/]")


def print_next_commands(console: Console, program: str, kept: Path | None) -> None:
    """Print what to type next, for your own images and for a real cluster."""
    client = "-b kafka:9092 --client-id radiology-1 --encoder encoder"
    lines = [
        "",
        "[bold]Next, your own images[/] (one folder per class, or an NPZ file):",
        f"  {program} demo --data path/to/images",
        "[bold]On a real cluster:[/]",
        f"  {program} encoder train --data path/to/public-images --size 28 --public --out encoder",
        f"  {program} encoder add encoder",
        f"  {program} client add radiology-1 --site st-mary -b kafka:9092",
        f"  {program} server run -b kafka:9092",
        f"  {program} client publish {client} --data path/to/images",
        f"  {program} client ask {client} --data new.png",
    ]
    if kept is not None:
        lines.append(f"Everything of this run, with its commands and logs, is in {kept}")
    console.print("\n".join(lines), soft_wrap=True, highlight=False)


def _figures(report: DemoReport) -> Table:
    table = Table.grid(padding=(0, 3))
    per_class = [f"{name} {value:.0%}" for name, value in report.accuracy_per_class.items()]
    rows = [
        ("learning", f"{report.sent} sent, {report.acknowledged} acknowledged, "
         f"{report.stored} stored"),
        ("service", f"{report.requests} requests, {report.replies} replies by model "
         f"{report.model_version}"),
        ("latency", f"p50 {report.latency_ms_p50:.1f} ms, p99 {report.latency_ms_p99:.1f} ms from "
         "question to answer, five clients at once"),
        ("bytes", f"{report.latent_bytes} a latent, {report.message_bytes} with its message; "
         f"{report.image_bytes} a raw image"),
        ("accuracy", f"[bold]{report.accuracy:.1%}[/] on unseen images, learned from all five "
         "clients"),
        ("", f"{report.accuracy_one_client:.1%} control: learned from one client alone"),
        ("", f"{report.accuracy_pixels:.1%} control: learned from raw pixels of all five"),
        ("per class", ", ".join(per_class)),
    ]  # fmt: skip
    for name, text in rows:
        table.add_row(name, text)
    return table
