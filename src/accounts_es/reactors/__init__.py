"""Effects that follow facts: what the server does in the world after a commit. Replay never comes here."""
