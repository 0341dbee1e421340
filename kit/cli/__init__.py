"""The command line. Nothing heavy is imported before the word that needs it is known."""
