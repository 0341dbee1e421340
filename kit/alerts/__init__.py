"""Alerts: their lifecycle, their delivery to the village, the receipts people give."""
