"""Load on a running service, with thresholds that fail the run: ordinary mix, spike and soak."""
