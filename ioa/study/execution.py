"""Many trainings over the cores, of which those that were done before are left out."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import TypeVar

from pydantic import BaseModel

from ioa.study.errors import StudyError
from ioa.study.records import write_record

Task = TypeVar("Task")
Progress = Callable[[int, int], None]
"""Takes how much is done and how much there is in all."""


def run_missing(
    tasks: Mapping[str, Task],
    work: Callable[[Task], BaseModel],
    folder: Path,
    *,
    jobs: int,
    on_progress: Progress,
) -> int:
    """Do the tasks that have no record yet, and return how many these were.

    Each record is written as soon as it is there, so that a run that was killed goes on where it
    stopped.

    Args:
        tasks: by the name of their record, ``<folder>/<name>.json``.
        work: a function that another process can import; its errors end the run.
        jobs: how many at a time, each in a process; a single one stays in this process.

    Raises:
        StudyError: a process died, or a record cannot be written.
    """
    missing = {name: task for name, task in tasks.items() if not _file(folder, name).exists()}
    before = len(tasks) - len(missing)
    on_progress(before, len(tasks))
    with closing(_work_off(missing, work, min(jobs, len(missing)))) as records:
        for done, (name, record) in enumerate(records, 1):
            write_record(_file(folder, name), record)
            on_progress(before + done, len(tasks))
    return len(missing)


def _work_off(
    tasks: Mapping[str, Task], work: Callable[[Task], BaseModel], jobs: int
) -> Generator[tuple[str, BaseModel]]:
    """Yield each record as soon as it is there; what has not begun by the end is dropped."""
    if jobs < 2:
        yield from ((name, work(task)) for name, task in tasks.items())
        return
    # Spawned, not forked: torch's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, initializer=_begin_worker)
    try:
        names = {pool.submit(work, task): name for name, task in tasks.items()}
        for future in as_completed(names):
            yield names[future], future.result()
    except BrokenProcessPool as error:
        raise StudyError(
            "a training process died, perhaps for lack of memory; what is done is kept: run the "
            "same again, with fewer --jobs"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def _begin_worker() -> None:
    """Prepare a process, before it imports torch: one thread, and no life of its own."""
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Exit as soon as the parent is gone: killed, it cannot tell its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
