"""Load: /classify next to its peers, and the mixes, spikes and soaks that a service must stand."""
