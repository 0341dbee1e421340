"""The unit: settings, clock, identity, store, broker, collector, alerts, health, command line."""
