"""The commands of ``ioa`` by name; the module of a command is imported when it is asked for."""

from collections import UserDict
from importlib import import_module
from typing import Any

from typer.core import TyperGroup
from typer.main import get_group

from ioa.cli.aliases import use_new_name

# In the order in which help shows them. Each is a module of this package with an ``app``.
_MODULES = {
    "demo": "research.demo",
    "broker": "kafka.broker",
    "topic": "kafka.topic",
    "server": "server.server",
    "client": "client.client",
    "outbox": "client.outbox",
    "dead-letter": "kafka.dead_letter",
    "encoder": "client.encoder",
    "database": "server.database",
    "archive": "kafka.archive",
    "replay": "research.replay",
    "dataset": "research.dataset",
    "experiment": "research.experiment",
}


class CommandGroups(TyperGroup):
    """The root of the command line; a command imports only its own module."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands(dict.fromkeys(_MODULES))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line; a command may have its former name."""
        return super().parse_args(ctx, use_new_name(args))


class _Commands(UserDict[str, Any]):
    def __getitem__(self, name: str) -> Any:
        if self.data[name] is None:
            module = import_module(f"ioa.cli.{_MODULES[name]}")
            group = get_group(module.app)
            group.name = name
            # A module with just one command, such as ``ioa demo``, calls it as itself.
            self.data[name] = group.commands.get(name, group)
        return self.data[name]
