"""Many trainings over the cores, of which those that were done before are left out."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import TypeVar

from pydantic import BaseModel

from ioa.research.studies.errors import StudyError
from ioa.research.studies.records import write_record

LARGEST_STACK = 8

Task = TypeVar("Task")
Work = Callable[[Sequence[Task]], Sequence[BaseModel]]
"""Does some tasks at once and returns their records in order; another process can import it."""
Progress = Callable[[int, int], None]
"""Takes how much is done and how much there is in all."""


def run_missing(
    tasks: Mapping[str, Task],
    work: Work[Task],
    folder: Path,
    *,
    stack_by: Callable[[Task], Hashable],
    jobs: int,
    on_progress: Progress,
) -> int:
    """Do the tasks that have no record yet, and return how many these were.

    Records are written as soon as they are there, so that a run that was killed goes on where it
    stopped.

    Args:
        tasks: by the name of their record, ``<folder>/<name>.json``.
        work: gets up to eight tasks; its errors end the run.
        stack_by: tasks with the same key are done at once.
        jobs: how many such stacks at a time, each in a process; a single one stays in this process.

    Raises:
        StudyError: a process died, or a record cannot be written.
    """
    missing = {name: task for name, task in tasks.items() if not _file(folder, name).exists()}
    before = len(tasks) - len(missing)
    on_progress(before, len(tasks))
    stacks = _stack(missing, stack_by, jobs)
    with closing(_work_off(stacks, work, min(jobs, len(stacks)))) as finished:
        for stack, records in finished:
            for name, record in zip(stack, records, strict=True):
                write_record(_file(folder, name), record)
                before += 1
                on_progress(before, len(tasks))
    return len(missing)


def _stack(
    tasks: Mapping[str, Task], stack_by: Callable[[Task], Hashable], jobs: int
) -> list[dict[str, Task]]:
    """Gather tasks, by name, of which none waits for another; each job gets some."""
    groups: dict[Hashable, list[str]] = {}
    for name, task in tasks.items():
        groups.setdefault(stack_by(task), []).append(name)
    largest = min(LARGEST_STACK, -(-len(tasks) // jobs))
    return [
        {name: tasks[name] for name in names[start : start + largest]}
        for names in groups.values()
        for start in range(0, len(names), largest)
    ]


def _work_off(
    stacks: Sequence[Mapping[str, Task]], work: Work[Task], jobs: int
) -> Generator[tuple[Mapping[str, Task], Sequence[BaseModel]]]:
    """Yield each stack and its records; what has not begun by the end is dropped."""
    if jobs < 2:
        yield from ((stack, work(list(stack.values()))) for stack in stacks)
        return
    # Spawned, not forked: torch's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, initializer=_begin_worker)
    try:
        futures = {pool.submit(work, list(stack.values())): stack for stack in stacks}
        for future in as_completed(futures):
            yield futures[future], future.result()
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
