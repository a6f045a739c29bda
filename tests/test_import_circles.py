"""No two modules import each other, however long the way round: imports inside functions count."""

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

import grimp

PACKAGES = ("schemas", "stream", "client_autoencoder", "server_classifier", "ioa")


def find_circles(imports: Mapping[str, set[str]]) -> list[str]:
    """Return circles, each as ``a -> b -> a``, until breaking one import of each leaves none.

    Args:
        imports: what each module imports.
    """
    left = {module: set(imported) for module, imported in imports.items()}
    circles = []
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            # The error lists each module before the one that imports it.
            circle: list[str] = error.args[1][::-1]
            circles.append(" -> ".join(circle))
            left[circle[0]].discard(circle[1])
        else:
            return circles


def test_a_circle_is_found_wherever_it_begins() -> None:
    assert find_circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) in (
        ["a -> b -> c -> a"],
        ["b -> c -> a -> b"],
        ["c -> a -> b -> c"],
    )
    assert find_circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_modules_do_not_import_each_other() -> None:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert {"stream.kafka.consumer", "ioa.cli.main"} <= imports.keys()
    circles = find_circles(imports)
    assert not circles, "these modules import each other:\n" + "\n".join(circles)
