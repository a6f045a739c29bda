"""``ioa topic``: print the table of topics, create them, report drift."""

import typer

from ioa.cli.options import Bootstrap, Config, Database, Prefix, load
from ioa.cli.printing import print_rows
from ioa.cli.server_database import mark_read_topics

app = typer.Typer(help="The Kafka topics of a deployment.", no_args_is_help=True)


@app.command("list")
def list_topics(config: Config = None, prefix: Prefix = None) -> None:
    """Print every topic with its key, writer, retention and limits. Example: ioa topic list"""
    from stream.exchange.topics import Topics

    kafka = load(config, prefix=prefix).kafka
    topics = Topics(kafka.prefix, kafka.partitions)
    rows = [
        {
            "topic": topic.name,
            "key": topic.key,
            "written by": topic.written_by,
            "kept": topic.kept,
            "partitions": topic.partitions,
            "record limit": f"{topic.limit // 2**20} MiB",
        }
        for topic in [*topics.shared(), topics.replies("<clientID>")]
    ]
    print_rows(rows, False, empty="", unbroken="topic")


@app.command()
def create(
    config: Config = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    database: Database = None,
) -> None:
    """Create the topics that are missing. Example: ioa topic create -b kafka:9092

    One that was read into the database before is made again by `ioa database position reset` only.
    """
    from stream.exchange.topics import Topics
    from stream.kafka.topics import create_topics

    kafka = load(config, bootstrap, prefix).kafka
    topics = Topics(kafka.prefix, kafka.partitions).shared()
    created = create_topics(kafka, mark_read_topics(config, database, topics))
    typer.echo(f"created {', '.join(created)}" if created else "all topics are there already")


@app.command()
def check(
    config: Config = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    database: Database = None,
) -> None:
    """Compare the cluster's topics with the table and with what was read; exit code 1 for drift.

    Example: ioa topic check -b kafka:9092
    """
    from stream.exchange.topics import Topics
    from stream.kafka.drift import find_drift
    from stream.kafka.topics import list_topic_names

    kafka = load(config, bootstrap, prefix).kafka
    topics = Topics(kafka.prefix, kafka.partitions)
    replies = topics.replies("").name
    clients = [
        name.removeprefix(replies) for name in list_topic_names(kafka) if name.startswith(replies)
    ]
    wanted = [*topics.shared(), *map(topics.replies, clients)]
    drift = find_drift(kafka, mark_read_topics(config, database, wanted))
    for line in drift:
        typer.echo(line)
    if drift:
        raise typer.Exit(1)
    typer.echo("the cluster's topics are as the table says")
