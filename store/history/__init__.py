"""The embedded history: Parquet files, written by sealing and compaction, read through DuckDB."""
