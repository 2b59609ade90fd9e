"""The Users service: what servers do with the accounts of a project."""
