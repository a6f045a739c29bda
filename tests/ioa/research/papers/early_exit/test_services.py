"""One edge as several networks, each of which allows one packing."""

from pathlib import Path

from ioa.research.papers.early_exit.plan import PACKINGS, THRESHOLDS
from ioa.research.papers.early_exit.services import allow_only
from stream.artefacts.encoder_files import read_encoder
from tests.support.encoders import train_exit


def test_copies_of_an_edge_differ_in_the_packing_that_they_allow(tmp_path: Path) -> None:
    edge = train_exit(tmp_path / "edge")
    for packing in PACKINGS:
        allow_only(edge, tmp_path / packing, packing)
    whole = read_encoder(edge).manifest
    copies = [read_encoder(tmp_path / packing).manifest for packing in PACKINGS]
    assert [copy.output.packings for copy in copies] == [(packing,) for packing in PACKINGS]
    assert {copy.files["network.onnx"] for copy in copies} == {whole.files["network.onnx"]}
    assert len({whole.network_id, *(copy.network_id for copy in copies)}) == 5


def test_there_is_a_client_for_every_packing_and_threshold() -> None:
    assert len(PACKINGS) == len(THRESHOLDS) == 4
