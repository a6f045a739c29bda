"""A topic past Kafka's retention: Parquet files with a manifest."""
