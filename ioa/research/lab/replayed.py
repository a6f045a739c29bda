"""An experiment on the messages of an earlier run, whose directory was kept with ``--keep``.

Nothing is encoded or sent again: a broker opens the earlier run's log, ``ioa replay run`` fills
a new database from it, and the server learns from that.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ioa.errors import ProcessFailed, SettingsError
from ioa.research.lab.consortium import Consortium
from ioa.research.lab.plan import PaperPlan
from ioa.research.reporting.results import Figures
from stream.broker.embedded import EmbeddedBroker

LEARNED = "learned.json"
"""What a run has sent and stored, beside its messages."""


def check_kept(plan: PaperPlan, replayed: Path) -> None:
    """Raise SettingsError unless an earlier run has kept all seeds of this plan."""
    for seed in range(plan.seeds):
        directory = replayed / f"seed-{seed}"
        if not (directory / LEARNED).is_file():
            raise SettingsError(
                f"{directory} is not there: --replay takes the directory that a run with as many "
                "seeds has left with --keep"
            )
        kept = type(plan).read(directory)
        # The number of seeds and the place of the images do not change the messages.
        if replace(kept, data=plan.data, seeds=plan.seeds) != plan or kept.source != plan.source:
            raise SettingsError(
                f"{directory} is of {kept.name}, not of {plan.name}; name the same options as then"
            )


def replay_messages(
    consortium: Consortium, kept: Path, encoders: Sequence[str]
) -> tuple[list[str], Figures]:
    """Fill the server's database from the log of an earlier run, and start to train and answer.

    The deployment must be running, with its database still empty, and the encoders must be there.

    Returns the encoder ids, and counts and sizes for the result file.

    Raises:
        ProcessFailed: the replay failed, or stored another number of latents.
        StreamError: the earlier run's broker does not start.
    """
    deployment = consortium.deployment
    target = deployment.settings.server.database_url
    with consortium.story.wait("replaying"), EmbeddedBroker(kept / "broker") as broker:
        command = ["replay", "run", "--into", target, "--database", f"sqlite:///{kept / 'ioa.db'}"]
        command += ["--bootstrap-servers", broker.bootstrap_servers, "--json"]
        report = deployment.finish("replay", deployment.start("replay", command))
    record = json.loads((kept / LEARNED).read_text())
    if report["stored"] != record["stored"]:
        raise ProcessFailed(
            f"{kept} has learned from {record['stored']} latents, and the replay has stored "
            f"{report['stored']}; refused: {report['refused'] or 'none'}"
        )
    consortium.story.tell(f"{report['stored']} latents replayed, digest {report['digest'][:12]}")
    encoder_ids = consortium.register(encoders)
    deployment.start_server("train")
    deployment.start_server("infer")
    return encoder_ids, record | {"replayed": report["digest"]}


def copy_encoders(kept: Path, directory: Path, names: Sequence[str]) -> None:
    """Copy the encoders of an earlier run into the directory of a new one."""
    for name in names:
        shutil.copytree(kept / name, directory / name)
