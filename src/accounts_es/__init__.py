"""accounts-es: an event-sourced accounts server behind Appwrite's Account, Users and Teams APIs."""

if __name__.startswith("src."):
    raise ImportError("import accounts_es, not src.accounts_es: install the project with scripts/setup")
