"""The Teams service."""
