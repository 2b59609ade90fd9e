"""The wire: one decorated function per operation; what is declared there is what runs."""
