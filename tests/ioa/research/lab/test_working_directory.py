"""No image stays behind; what an error names does."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from ioa.errors import IoaError, SettingsError
from ioa.research.lab.working_directory import working_directory


def fill(directory: Path) -> None:
    (directory / "broker" / "data").mkdir(parents=True)
    (directory / "client-1.npz").write_text("images")
    (directory / "client-1.log").write_text("what went wrong")
    (directory / "broker" / "data" / "0000.log").write_text("messages")


def test_it_is_removed_when_all_is_well() -> None:
    with working_directory(None, "ioa-test-") as directory:
        fill(directory)
    assert not directory.exists()


def test_after_an_error_the_logs_stay_and_nothing_else() -> None:
    with suppress(IoaError), working_directory(None, "ioa-test-") as directory:
        fill(directory)
        raise IoaError("see client-1.log")
    left = [path for path in directory.rglob("*") if path.is_file()]
    assert left == [directory / "client-1.log"]
    left[0].unlink()


def test_after_an_error_before_any_log_nothing_stays() -> None:
    with suppress(IoaError), working_directory(None, "ioa-test-") as directory:
        (directory / "client-1.npz").write_text("images")
        raise IoaError("too few images")
    assert not directory.exists()


def test_sigterm_ends_it_in_order() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with suppress(SystemExit), working_directory(None, "ioa-test-") as directory:
        fill(directory)
        os.kill(os.getpid(), signal.SIGTERM)
    assert not directory.exists()
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_is_to_be_kept_is_kept_in_a_new_directory(tmp_path: Path) -> None:
    with working_directory(tmp_path / "run", "ioa-test-") as directory:
        fill(directory)
    assert (tmp_path / "run" / "client-1.npz").exists()
    with pytest.raises(SettingsError, match="not empty"), working_directory(directory, "ioa-"):
        pass
