"""What the unit does now and whether it is well: the facts behind `kit status`, `kit doctor` and the TUI."""
