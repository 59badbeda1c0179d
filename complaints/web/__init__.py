"""The web: pages for people and the API, both on top of the same stages."""
