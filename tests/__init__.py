"""Tests. A package, so that a test and a benchmark can share a real peer such as `tests.postfix`."""
