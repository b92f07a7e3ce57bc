"""Projects of a team: what `passerelle new` writes, updates and checks."""
