"""Plaint: spam complaints that reach the responsible abuse desk, and only with consent."""

__version__ = "0.1.0"
