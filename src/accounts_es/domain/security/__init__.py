"""What outsiders cause at will: facts of the project's security streams, never of a victim's account."""
