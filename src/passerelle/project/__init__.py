"""Projects of a team's own: what `passerelle new` writes, updates and checks."""
