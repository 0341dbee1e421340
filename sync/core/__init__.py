"""The city core: what it keeps of its kits, who may become one, and the page that shows them.

From below: `store` (the port and its values), `schema` and the modules of SQL statements (`kit_rows`, `record_rows`,
`applied_rows`, `queries`), `sqlite_store` (the adapter), then `setup` and `invites`, `view` (JSON) and `page`. What
starts it is `kit.run.core`. docs/core.md says what a city's operator sees of it.
"""
