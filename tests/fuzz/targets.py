"""All fuzz targets by name."""

from tests.fuzz import attached, bodies, containers, door, headers, outcomes, registries
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (headers, bodies, containers, attached, registries, door, outcomes)
    for target in module.TARGETS
}
