"""The commands of ``ioa`` by name; the module of one is imported when somebody asks for it."""

from collections import UserDict
from importlib import import_module
from typing import Any

from typer.core import TyperGroup
from typer.main import get_group

# In the order in which help shows them. Each is a module of this package with an ``app``.
_MODULES = {
    "demo": "research.demo",
    "replay": "research.replay",
    "broker": "kafka.broker",
    "topics": "kafka.topic",
    "encoder": "client.encoder",
    "client": "client.client",
    "server": "server.server",
    "dead-letters": "kafka.dead_letter",
    "archive": "kafka.archive",
    "dataset": "research.dataset",
    "experiment": "research.experiment",
}


class CommandGroups(TyperGroup):
    """The root of the command line: whatever is started, only its own module is imported."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands(dict.fromkeys(_MODULES))


class _Commands(UserDict[str, Any]):
    def __getitem__(self, name: str) -> Any:
        if self.data[name] is None:
            module = import_module(f"ioa.cli.{_MODULES[name]}")
            group = get_group(module.app)
            group.name = name
            # A module with just one command, such as ``ioa demo``, calls it as itself.
            self.data[name] = group.commands.get(name, group)
        return self.data[name]
