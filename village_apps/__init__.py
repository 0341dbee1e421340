"""One folder per app, found through the entry-point group `village_kit.apps`, plus the web frame they share."""
