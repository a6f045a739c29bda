"""Many trainings over the cores; those that were done before are left out."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Protocol, TypeVar

from pydantic import BaseModel

from ioa.errors import StudyError
from ioa.research.reporting.conditions import Conditions, read_conditions
from ioa.research.reporting.records import Record, read_records, write_record
from ioa.run.termination import ended_in_order
from server_classifier.store.datasets.latents import DatasetLatents
from server_classifier.store.datasets.snapshots import write_snapshot

LARGEST_STACK = 8


class Task(Protocol):
    """A training, whose ``id`` names its record; tasks of one ``stack_key`` are trained at once."""

    @property
    def id(self) -> str: ...

    @property
    def stack_key(self) -> Hashable: ...


AnyTask = TypeVar("AnyTask", bound=Task)
Snapshots = Mapping[tuple[str, str], Path]
"""Files with latents, by digest of the dataset and encoder id."""
Work = Callable[[Sequence[AnyTask], Snapshots, Conditions], Sequence[BaseModel]]
"""Trains some tasks at once; returns their records in order. Another process can import it."""
Progress = Callable[[int, int], None]
"""Takes how much is done and how much there is in all."""


def train_missing(
    kind: type[Record],
    tasks: Sequence[AnyTask],
    work: Work[AnyTask],
    datasets: Sequence[DatasetLatents],
    folder: Path,
    *,
    jobs: int,
    on_progress: Progress,
) -> tuple[dict[str, Record], int]:
    """Train the tasks that have no record yet, ``<folder>/<id>.json``.

    Returns the records of all tasks by id, and how many tasks were trained now.

    Records are written as soon as they exist, so that a killed run goes on where it stopped. The
    latents are in temporary files only: they are patients' data, and results are passed on. Killed
    with SIGKILL, a run leaves these files behind, in a folder that only its user can read.

    Args:
        work: gets up to eight tasks; its errors end the run.
        datasets: the latents from which the tasks learn.
        jobs: how many stacks of tasks are trained at a time, each in a process; a single stack
            stays in this process.

    Raises:
        StudyError: a process died, or a record cannot be written.
    """
    named = {task.id: task for task in tasks}
    missing = [task for name, task in named.items() if not (folder / f"{name}.json").exists()]
    done = len(named) - len(missing)
    on_progress(done, len(named))
    stacks = _stack(missing, jobs)
    with ended_in_order(), TemporaryDirectory(prefix="ioa-study-") as temporary:
        snapshots = {}
        for number, latents in enumerate(datasets):
            snapshot = Path(temporary, f"{number}.latents")
            write_snapshot(latents, snapshot)
            snapshots[latents.digest, latents.encoder_id] = snapshot
        with closing(_train_stacks(stacks, work, snapshots, min(jobs, len(stacks)))) as trained:
            for stack, records in trained:
                for task, record in zip(stack, records, strict=True):
                    write_record(folder / f"{task.id}.json", record)
                    done += 1
                    on_progress(done, len(named))
    return read_records(kind, folder, named), len(missing)


def _stack(tasks: Sequence[AnyTask], jobs: int) -> list[list[AnyTask]]:
    """Gather tasks that can be trained at once, so that each job gets some."""
    groups: dict[Hashable, list[AnyTask]] = {}
    for task in tasks:
        groups.setdefault(task.stack_key, []).append(task)
    largest = min(LARGEST_STACK, -(-len(tasks) // jobs))
    return [
        group[start : start + largest]
        for group in groups.values()
        for start in range(0, len(group), largest)
    ]


def _train_stacks(
    stacks: Sequence[Sequence[AnyTask]], work: Work[AnyTask], snapshots: Snapshots, jobs: int
) -> Generator[tuple[Sequence[AnyTask], Sequence[BaseModel]]]:
    """Yield each stack and its records; stacks that have not begun by the end are dropped."""
    conditions = read_conditions()
    if jobs < 2:
        yield from ((stack, work(stack, snapshots, conditions)) for stack in stacks)
        return
    # Spawned, not forked: torch's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, initializer=_begin_worker)
    try:
        futures = {pool.submit(work, stack, snapshots, conditions): stack for stack in stacks}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise StudyError(
            "a training process died, perhaps for lack of memory; what is done is kept: run the "
            "same again, with fewer --jobs"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    """Prepare a process before it imports torch: one thread, and it ends with its parent."""
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the parent
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Exit as soon as the parent is gone: if it is killed, it cannot tell its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
