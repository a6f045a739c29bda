"""``ioa topics``: print the table of topics, create them, report drift."""

import typer

from ioa.cli.options import Bootstrap, Config, Prefix
from ioa.settings import load_settings

app = typer.Typer(help="The Kafka topics of a deployment.", invoke_without_command=True)


@app.callback()
def show(context: typer.Context, config: Config = None, prefix: Prefix = None) -> None:
    """Print every topic with its key, writer, retention and limits. Example: ioa topics"""
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console
    from rich.table import Table

    from stream.kafka.topics import Topics

    topics = Topics(load_settings(config, kafka={"prefix": prefix}).kafka.prefix)
    table = Table(box=None)
    for column in ("topic", "key", "written by", "kept", "partitions", "record limit"):
        table.add_column(column, no_wrap=column == "topic")
    for topic in [*topics.shared(), topics.replies("<clientID>")]:
        limit = f"{topic.limit // 2**20} MiB"
        row = (topic.name, topic.key, topic.written_by, topic.kept, str(topic.partitions), limit)
        table.add_row(*row)
    Console().print(table)


@app.command()
def create(config: Config = None, bootstrap: Bootstrap = None, prefix: Prefix = None) -> None:
    """Create the topics that are missing. Example: ioa topics create -b kafka:9092"""
    from stream.kafka.topics import Topics, create_topics

    kafka = load_settings(config, kafka={"bootstrap_servers": bootstrap, "prefix": prefix}).kafka
    created = create_topics(kafka, Topics(kafka.prefix).shared())
    typer.echo(f"created {', '.join(created)}" if created else "all topics are there already")


@app.command()
def check(config: Config = None, bootstrap: Bootstrap = None, prefix: Prefix = None) -> None:
    """Compare the cluster's topics with the table; exit code 1 where they differ.

    Example: ioa topics check -b kafka:9092
    """
    from stream.kafka.topics import Topics, find_drift, list_topic_names

    kafka = load_settings(config, kafka={"bootstrap_servers": bootstrap, "prefix": prefix}).kafka
    topics = Topics(kafka.prefix)
    replies = topics.replies("").name
    clients = [
        name.removeprefix(replies) for name in list_topic_names(kafka) if name.startswith(replies)
    ]
    drift = find_drift(kafka, [*topics.shared(), *map(topics.replies, clients)])
    for line in drift:
        typer.echo(line)
    if drift:
        raise typer.Exit(1)
    typer.echo("the cluster's topics are as the table says")
