"""Backups of a unit: one encrypted file that a dead unit can be brought back from, elsewhere, with its printed code.

- `recovery_code`, `sealing`: the code on paper, and the encryption; pure.
- `archive`: what is in the file.
- `making`: a consistent copy while the unit runs.
- `restoring`: the proof that it is good, and the way back in a new epoch.
- `newest`, `picking`: the newest good backup of a unit whose store is damaged; its small tables before all the rest.
- `damage`, `rest`: what to do with a store that is damaged.
"""
