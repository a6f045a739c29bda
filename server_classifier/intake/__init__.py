"""From records to the database: admission and screening, ingestion and replays."""
