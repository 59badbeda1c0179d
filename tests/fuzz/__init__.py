"""Fuzzing every parser: takes bytes nobody would send, leaves the inputs that break a promise.

`python -m tests.fuzz TARGET --runs N --seconds S` or `--all`. A target is a function over bytes that asserts
what must hold for any input (`headers.py`, `bodies.py`, `containers.py`, `registries.py`); `mutate.py` and
`grammar.py` make the inputs, guided by coverage where atheris is installed and by what the parsers answer
elsewhere. What broke something once lies in `cases/`, reduced to bytes of our own, and is replayed by
`tests/test_fuzz_cases.py`.
"""
