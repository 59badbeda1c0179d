"""Takes the operator's settings; leaves how `abuse_lookup` is to ask with them."""

from abuse_lookup import Config
from complaints import __version__
from complaints.settings import Settings


def lookup_config(settings: Settings) -> Config:
    """How abuse_lookup is to ask, with these settings, and the limits agreed on with registries, if any."""
    own_limits = settings.data / "limits.toml"
    who = f"+{settings.url}; {settings.contact}" if settings.contact else f"+{settings.url}"
    return Config(
        dns=settings.name_servers,
        rdap_bootstrap=settings.rdap_bootstrap or None,
        whois_root=settings.whois_root,
        whois_port=settings.whois_port,
        seconds=settings.lookup_seconds,
        ca_file=settings.ca_file,
        allow_nets=tuple(filter(None, settings.allow_nets.split(","))),
        contact_zones=tuple(filter(None, settings.contact_zones.split(","))),
        cache_path=settings.data / "lookups.sqlite",
        user_agent=f"Plaint/{__version__} ({who})",
        limit_per_minute=settings.limit_lookups,
        limits=own_limits if own_limits.exists() else None,
        desks=settings.desks_file,
    )
