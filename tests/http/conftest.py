"""Tests over the wire share one running server; each makes its own people in it."""

from tests.support.running import guest, jane, log, operator, server, world

__all__ = ["guest", "jane", "log", "operator", "server", "world"]
