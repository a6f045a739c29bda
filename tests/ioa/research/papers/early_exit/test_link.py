"""The modelled link, against figures worked out by hand."""

import pytest

from ioa.research.papers.early_exit.link import (
    ALONE,
    AT_ONCE,
    RAW,
    SPLIT,
    Course,
    list_courses,
    name_once,
)

SECONDS = {"edge_exit": 1.0, "edge_split": 2.0, "main": 3.0, "edge_forward": 0.5}
BYTES = {"raw": 100.0, "float32": 400.0, "int8": 100.0, "int4": 50.0, "jpeg": 80.0}
IMAGES, EPOCHS, STEPS = 1000, 5, 10
# 1,000 images of 100 bytes take 0.8 s at 1 Mbit/s.
WALL = {
    RAW: (0.8 + 5 * 5, 0.8 + 5 * 5),
    SPLIT: (5 * 6.4 + 50 * 0.05 + 5 * 5, 5 * 6.4 + 50 * 0.05 + 5 * (20 + 3)),
    AT_ONCE: (5 * 0.8 + 5 * 3, 5 * 0.8 + 5 * 10),
    name_once("float32"): (3.2 + 0.5 + 5 * 4, 3.2 + 5 + 5 * 13),
    name_once("int8"): (0.8 + 0.5 + 5 * 4, 0.8 + 5 + 5 * 13),
    name_once("int4"): (0.4 + 0.5 + 5 * 4, 0.4 + 5 + 5 * 13),
    name_once("jpeg"): (0.64 + 0.5 + 5 * 4, 0.64 + 5 + 5 * 13),
    ALONE: (5.0, 50.0),
}


@pytest.mark.parametrize("name", WALL)
@pytest.mark.parametrize(("place", "slowness"), [(0, 1.0), (1, 10.0)])
def test_a_course_takes_what_the_formula_says(name: str, place: int, slowness: float) -> None:
    courses = list_courses(SECONDS, BYTES, steps=STEPS, epochs=EPOCHS)
    seconds = courses[name].model_seconds(IMAGES, EPOCHS, 1.0, slowness)
    assert seconds == pytest.approx(WALL[name][place])


def test_all_ways_are_listed() -> None:
    assert set(list_courses(SECONDS, BYTES, steps=STEPS, epochs=EPOCHS)) == set(WALL)


def test_a_faster_link_shortens_sending_only() -> None:
    course = Course(up=1e6, edge=1.0, cloud=1.0)
    slow, fast = (course.model_seconds(10, 1, mbps, 1.0) for mbps in (1.0, 10.0))
    assert (slow, fast) == (pytest.approx(82), pytest.approx(10))
