"""The one SQLite file: connections, transactions, migrations, and one module per family of tables."""
