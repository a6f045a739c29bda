"""IDX files find their labels and splits by name, and MNIST reads the same as from NPZ."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from client_autoencoder.errors import ClientError
from client_autoencoder.images.batches import read_all
from client_autoencoder.images.idx import open_idx, open_idx_folder
from client_autoencoder.images.npz import open_npz, read_npz_column
from tests.support.idx import write_idx

PIXELS = np.arange(2 * 3 * 4).reshape(2, 3, 4).astype(np.uint8) * 11
SPELLINGS = ("-idx{}-ubyte", ".idx{}-ubyte", "-idx{}-ubyte.gz", ".idx{}-ubyte.gz")


def write_pair(folder: Path, stem: str, label: int, ending: str = "-idx{}-ubyte") -> Path:
    """Write one image of one label and return the file of images."""
    write_idx(folder / f"{stem}labels{ending.format(1)}", np.array([label]))
    return write_idx(folder / f"{stem}images{ending.format(3)}", PIXELS[:1])


def test_images_with_their_labels(tmp_path: Path) -> None:
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.array([7, 0]))
    source = open_idx(write_idx(tmp_path / "train-images-idx3-ubyte", PIXELS))
    images = read_all(source, [])
    assert source.name == "train-images"
    assert images.images[:, 0] == pytest.approx(PIXELS / 255)
    assert images.labels == ["7", "0"]
    assert images.names == ["train-images[0]", "train-images[1]"]


@pytest.mark.parametrize("images", SPELLINGS)
@pytest.mark.parametrize("labels", SPELLINGS)
def test_every_spelling_of_the_labels_is_found(tmp_path: Path, images: str, labels: str) -> None:
    write_idx(tmp_path / f"t10k-labels{labels.format(1)}", np.array([4, 2]))
    source = open_idx(write_idx(tmp_path / f"t10k-images{images.format(3)}", PIXELS))
    assert source.labels == ["4", "2"]


def test_of_two_files_of_labels_the_one_spelled_alike_counts(tmp_path: Path) -> None:
    paths = [write_pair(tmp_path, "a-", label, end) for label, end in enumerate(SPELLINGS)]
    assert [open_idx(path).labels for path in paths] == [["0"], ["1"], ["2"], ["3"]]


def test_labels_of_other_images_are_not_taken(tmp_path: Path) -> None:
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.array([4, 2]))
    (tmp_path / "t10k-labels-idx1-ubyte").mkdir()
    source = open_idx(write_idx(tmp_path / "t10k-images-idx3-ubyte", PIXELS))
    assert source.labels == [None, None]


def test_another_number_of_labels_names_both_files(tmp_path: Path) -> None:
    write_idx(tmp_path / "a-labels-idx1-ubyte.gz", np.arange(3))
    path = write_idx(tmp_path / "a-images-idx3-ubyte", PIXELS)
    with pytest.raises(ClientError, match=r"idx3-ubyte holds 2 images and .*gz 3 labels"):
        open_idx(path)


def test_damaged_labels_are_named(tmp_path: Path) -> None:
    (tmp_path / "a-labels-idx1-ubyte").write_bytes(b"\x00\x00\x08\x01")
    with pytest.raises(ClientError, match="a-labels-idx1-ubyte ends within its header"):
        open_idx(write_idx(tmp_path / "a-images-idx3-ubyte", PIXELS))


@pytest.mark.parametrize("test_stem", ["t10k-", "test-", "emnist-letters-test-"])
@pytest.mark.parametrize("ending", SPELLINGS)
def test_the_splits_of_a_folder(tmp_path: Path, test_stem: str, ending: str) -> None:
    write_pair(tmp_path / "set", "train-", 1, ending)
    write_pair(tmp_path / "set", test_stem, 2, ending)
    sources = [open_idx_folder(tmp_path / "set", split) for split in (None, "train", "test")]
    assert [source.labels for source in sources] == [["1"], ["1"], ["2"]]
    assert {source.name for source in sources} == {"set"}
    assert sources[2].name_of(0) == f"{test_stem}images[0]"


def test_an_undivided_folder_of_idx_files(tmp_path: Path) -> None:
    write_pair(tmp_path, "", 3)
    assert open_idx_folder(tmp_path).labels == ["3"]


@pytest.mark.parametrize(
    ("stems", "split", "reason"),
    [
        (["t10k-"], None, "split train; it has t10k-images-idx3-ubyte"),
        (["train-"], "test", "split test; it has train-images-idx3-ubyte"),
        (["train-", "t10k-"], "val", "split val; it has t10k.*, train"),
        (["a-train-", "b-train-"], None, "several .* a-train-.*, b-train-.*; name one"),
    ],
)
def test_a_split_that_is_not_there_or_twice(
    tmp_path: Path, stems: list[str], split: str | None, reason: str
) -> None:
    for stem in stems:
        write_pair(tmp_path, stem, 1)
    with pytest.raises(ClientError, match=reason):
        open_idx_folder(tmp_path, split)


def test_a_file_unpacked_beside_its_gz_counts_once(tmp_path: Path) -> None:
    write_pair(tmp_path, "train-", 5, "-idx{}-ubyte.gz")
    write_pair(tmp_path, "train-", 5, "-idx{}-ubyte")
    (tmp_path / "._train-images-idx3-ubyte").write_bytes(b"left by a file manager")
    assert open_idx_folder(tmp_path).labels == ["5"]


def test_a_folder_of_the_name_of_a_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").mkdir()
    write_pair(tmp_path, "train-", 5, ".idx{}-ubyte")
    assert open_idx_folder(tmp_path).labels == ["5"]


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_mnist_as_idx_files_reads_as_from_npz(
    tmp_path: Path, find_data: Callable[[str], Path], ending: str
) -> None:
    npz = find_data("mnist.npz")
    for split, stem in (("train", "train"), ("test", "t10k")):
        for kind, dimensions in (("images", 3), ("labels", 1)):
            array = read_npz_column(npz, f"{split}_{kind}")
            assert array is not None
            write_idx(tmp_path / f"{stem}-{kind}-idx{dimensions}-ubyte{ending}", array)
    for split, count in (("train", 60_000), ("test", 10_000)):
        as_idx, as_npz = open_idx_folder(tmp_path, split), open_npz(npz, split)
        assert as_idx.images.shape == (count, 28, 28)
        assert np.array_equal(as_idx.images, as_npz.images)
        assert as_idx.labels == as_npz.labels
        assert np.array_equal(as_idx.load(count - 1), as_npz.load(count - 1))
