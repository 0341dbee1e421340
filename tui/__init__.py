"""The technician's terminal: pure view models, panels, screens. Imported by `kit tui` only."""
