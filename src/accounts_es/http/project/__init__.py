"""The project's own settings and API keys (contract: cross-cutting, 15)."""
