"""The gate of pipelines: a small HTTP server that runs stages and answers by their verdicts."""
