"""What this library raises. A server's behaviour is never raised: it becomes a `Failure` in the answer.

AbuseLookupError
├── UnusableTarget   what was asked is no address, network, AS number, domain, URL or mail address
└── ConfigError      the configuration cannot work: a name server, a folder, a CA file, a data row
"""


class AbuseLookupError(ValueError):
    """Root of this library's errors."""


class UnusableTarget(AbuseLookupError):  # noqa: N818 - reads as what it says
    """What was asked about is nothing this library can look up; `target` is the text, `why` the reason."""

    def __init__(self, target: str, why: str) -> None:
        """Keep both, and say what would be usable."""
        self.target, self.why = target, why
        super().__init__(
            f"cannot look up {target[:200]!r}: {why}; "
            "give an IP address, a CIDR, an AS number, a domain, a URL or a mail address"
        )


class ConfigError(AbuseLookupError):
    """The configuration names something that is not there or not readable."""
