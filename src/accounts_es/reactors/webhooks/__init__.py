"""Tells the webhooks of projects what happens: at least once, and in order for each account and team."""

from accounts_es.reactors.webhooks.fleet import Webhooks

__all__ = ["Webhooks"]
