"""What happens, told to whoever is connected and may hear of it (contract: cross-cutting, 12)."""
