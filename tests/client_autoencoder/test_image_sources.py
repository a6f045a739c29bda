"""Digits, NPZ files, folders and single files, and what is said when they are no images."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client_autoencoder.errors import ClientError
from client_autoencoder.image_sources import open_source
from client_autoencoder.images import Skipped, read_all
from tests.support.images import draw_images, write_class_folders, write_image

GREY = np.arange(2 * 3 * 4).reshape(2, 3, 4).astype(np.uint8)


def save(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return str(path)


def test_the_digits_are_1797_labelled_images_in_0_to_1() -> None:
    pytest.importorskip("sklearn")
    source = open_source("digits")
    images = read_all(source, [])
    assert images.images.shape == (1797, 1, 8, 8)
    assert (images.images.min(), images.images.max()) == (0.0, 1.0)
    assert images.labels[:3] == ["0", "1", "2"]
    assert source.name == "digits"


def test_digits_without_scikit_learn_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ClientError, match=r"\[demo\]"):
        open_source("digits")


def test_an_npz_with_class_names(tmp_path: Path) -> None:
    data = save(
        tmp_path / "made.npz", images=GREY, labels=np.array([1, 0]), class_names=["CXR", "MRI"]
    )
    images = read_all(open_source(data), [])
    assert images.labels == ["MRI", "CXR"]
    assert images.images[:, 0] == pytest.approx(GREY / 255)
    assert images.names == ["images[0]", "images[1]"]


def test_the_parts_of_an_npz(tmp_path: Path) -> None:
    data = save(
        tmp_path / "made.npz",
        train_images=GREY,
        train_labels=np.array(["a", "b"]),
        test_images=GREY[:1],
        test_labels=np.array([7]),
    )
    assert read_all(open_source(data), []).labels == ["a", "b"]
    assert read_all(open_source(data, split="test"), []).labels == ["7"]
    with pytest.raises(ClientError, match="val_images; it has train_images"):
        open_source(data, split="val")


def test_an_npz_without_labels_is_unlabelled(tmp_path: Path) -> None:
    assert read_all(open_source(save(tmp_path / "made.npz", images=GREY)), []).labels == [None] * 2


@pytest.mark.parametrize(
    ("images", "wanted"),
    [
        pytest.param(GREY.astype(np.uint16) * 257, GREY / 255, id="16-bit"),
        pytest.param(GREY / 255, GREY / 255, id="float64"),
        pytest.param(GREY > 5, GREY > 5, id="bool"),
        pytest.param(GREY[:, None], GREY / 255, id="channel-first"),
        pytest.param(GREY[..., None], GREY / 255, id="channel-last"),
        pytest.param(np.repeat(GREY[..., None], 3, -1), GREY / 255, id="colour"),
    ],
)
def test_the_forms_of_an_array(tmp_path: Path, images: Any, wanted: Any) -> None:
    loaded = read_all(open_source(save(tmp_path / "made.npz", images=images)), [])
    assert loaded.images[:, 0] == pytest.approx(wanted.astype(np.float32), abs=1e-6)


def test_pixels_outside_0_to_1_skip_their_image(tmp_path: Path) -> None:
    images = np.zeros((4, 3, 3), np.float32)
    images[1, 0, 0] = np.nan
    images[2, 0, 0] = 255
    skipped: list[Skipped] = []
    assert len(read_all(open_source(save(tmp_path / "made.npz", images=images)), skipped)) == 2
    assert [one.name for one in skipped] == ["images[1]", "images[2]"]
    assert "0..1" in skipped[0].reason


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        pytest.param({"x": GREY}, "no array images or train_images; it has x", id="no-images"),
        pytest.param({"images": GREY[:0]}, r"shape \[0, 3, 4\]", id="none"),
        pytest.param({"images": GREY[0]}, r"shape \[3, 4\]", id="one-plane"),
        pytest.param({"images": np.array(["a"])}, "images are <U1", id="text"),
        pytest.param({"images": np.zeros((2, 3, 4, 2))}, "channel axis", id="two-channels"),
        pytest.param({"images": GREY, "labels": np.arange(3)}, "2 whole numbers", id="labels"),
        pytest.param({"images": GREY, "labels": np.zeros(2)}, "labels are float64", id="float"),
        pytest.param(
            {"images": GREY, "labels": np.array([0, 2]), "class_names": ["a", "b"]},
            "not a position in its 2 class_names",
            id="class-names",
        ),
        pytest.param({"images": np.array([None])}, "Object arrays", id="pickle"),
    ],
)
def test_an_npz_that_is_no_set_of_images(
    tmp_path: Path, arrays: dict[str, Any], reason: str
) -> None:
    data = save(tmp_path / "made.npz", **arrays)
    with pytest.raises(ClientError, match=reason) as caught:
        open_source(data)
    assert "made.npz" in str(caught.value)


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, GREY)
    return buffer.getvalue()


def damaged_npz() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=GREY)
    return buffer.getvalue().replace(b"\x00\x01\x02\x03", b"\x00\xff\x02\x03")[:-40]


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04 cut", b"text", b"\x80\x04K\x01.", npy(), damaged_npz()],
    ids=["empty", "cut", "text", "pickle", "npy", "damaged"],
)
def test_a_file_that_is_no_npz(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "made.npz"
    path.write_bytes(content)
    with pytest.raises(ClientError, match=r"made\.npz"):
        open_source(str(path))


def test_a_missing_npz_says_so(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="No such file"):
        open_source(str(tmp_path / "made.npz"))


@pytest.mark.parametrize("suffix", [".png", ".jpeg"])
def test_folder_names_are_labels(tmp_path: Path, suffix: str) -> None:
    batch = draw_images(9, side=16)
    write_class_folders(tmp_path / "set", batch, suffix)
    source = open_source(str(tmp_path / "set"))
    images = read_all(source, [])
    assert source.name == "set"
    assert images.labels == ["bar"] * 3 + ["ring"] * 3 + ["square"] * 3
    assert images.images[0, 0] == pytest.approx(batch.images[0, 0], abs=0.1)


def test_other_files_in_a_class_folder_are_skipped_and_hidden_ones_ignored(tmp_path: Path) -> None:
    write_class_folders(tmp_path, draw_images(6))
    for name in ("notes.txt", ".DS_Store", "Thumbs.db"):
        (tmp_path / "bar" / name).write_text("text")
    (tmp_path / "README.md").write_text("beside the class folders")
    skipped: list[Skipped] = []
    assert len(read_all(open_source(str(tmp_path)), skipped)) == 6
    assert [Path(one.name).name for one in skipped] == ["notes.txt"]


def test_a_folder_of_images_takes_one_label_or_none(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_image(tmp_path / name, draw_images(1).images[0, 0])
    assert read_all(open_source(str(tmp_path)), []).labels == [None, None]
    assert read_all(open_source(str(tmp_path), label="bar"), []).labels == ["bar", "bar"]


def test_a_single_file(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.png", draw_images(1).images[0, 0])
    images = read_all(open_source(str(path), label="bar"), [])
    assert (images.labels, images.names) == (["bar"], [str(path)])


@pytest.mark.parametrize(
    ("data", "reason"),
    [("absent", "neither a file nor a folder"), ("empty", "holds no image")],
)
def test_a_missing_or_empty_source_is_an_error_in_words(
    tmp_path: Path, data: str, reason: str
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ClientError, match=reason):
        open_source(str(tmp_path / data))


def test_a_label_beside_class_folders_is_refused(tmp_path: Path) -> None:
    write_class_folders(tmp_path, draw_images(3))
    with pytest.raises(ClientError, match="drop --label"):
        open_source(str(tmp_path), label="bar")
