"""The software bill of materials of a bundle, as CycloneDX: what is in it, not what was asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from .errors import NotReleasable

# Names under which authors have put what SPDX calls otherwise.
_SPDX = {"Apache2": "Apache-2.0"}


@dataclass(frozen=True)
class Subject:
    """What the bill is of. `sha256` is the packed bundle's, `at` the time of the commit."""

    name: str
    version: str
    sha256: str
    commit: str
    at: datetime


def bill_of_materials(subject: Subject, bundle: Path) -> str:
    """JSON that depends on the arguments alone.

    Raises NotReleasable if the bundle holds other packages than its requirements.txt pins.
    """
    found = {canonicalize_name(each.name): each for each in distributions(path=[str(bundle)])}
    pinned = {canonicalize_name(name): (version, hashes) for name, version, hashes in _pins(bundle)}
    held, asked = {name: found[name].version for name in found}, {name: pinned[name][0] for name in pinned}
    if held != asked:
        raise NotReleasable(f"the bundle holds {held}, and src/requirements.txt pins {asked}")
    packages = {name: _component(each, pinned[name][1]) for name, each in found.items()}
    needs = {name: _needs(each) & packages.keys() for name, each in found.items()}
    whole = Component(
        name=subject.name,
        version=subject.version,
        type=ComponentType.APPLICATION,
        bom_ref=f"{subject.name}@{subject.version}",
        licenses=[LicenseFactory().make_from_string("Apache-2.0")],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=subject.sha256)],
    )
    bom = Bom(
        serial_number=uuid5(NAMESPACE_URL, f"{subject.name}@{subject.version}#{subject.commit}"),
        metadata=BomMetaData(component=whole, timestamp=subject.at),
        components=packages.values(),
    )
    for name, component in packages.items():
        bom.register_dependency(component, [packages[each] for each in needs[name]])
    needed_by_others = {each for some in needs.values() for each in some}
    bom.register_dependency(whole, [packages[each] for each in packages.keys() - needed_by_others])
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _pins(bundle: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Name, version and hashes of each package that is pinned."""
    for line in (bundle / "requirements.txt").read_text().replace("\\\n", " ").splitlines():
        pin, *hashes = line.split()
        name, _, version = pin.partition("==")
        yield name, version, [each.removeprefix("--hash=sha256:") for each in hashes]


def _component(distribution: Distribution, hashes: list[str]) -> Component:
    purl = PackageURL("pypi", name=canonicalize_name(distribution.name), version=distribution.version)
    pinned = ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(str(purl)),
        comment="the files that src/requirements.txt allows",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=each) for each in hashes],
    )
    return Component(
        name=distribution.name,
        version=distribution.version,
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        licenses=[_license(distribution)],
        external_references=[pinned],
    )


def _license(distribution: Distribution) -> License:
    told = distribution.metadata.get("License-Expression") or distribution.metadata.get("License") or "NOASSERTION"
    return LicenseFactory().make_from_string(_SPDX.get(told, told))


def _needs(distribution: Distribution) -> set[NormalizedName]:
    """The packages that it needs without any of its extras."""
    wanted = map(Requirement, distribution.requires or [])
    return {canonicalize_name(each.name) for each in wanted if not each.marker or each.marker.evaluate({"extra": ""})}
