"""From a device's message to stored readings: dialects (pure parsers), judgement, ingest, batching."""
