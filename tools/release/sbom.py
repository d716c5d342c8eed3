"""The software bill of materials (SBOM) of a bundle, as CycloneDX. It lists the packages that the bundle contains."""

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

from tools.errors import NotReleasable

# License names of packages → SPDX identifiers.
_SPDX = {"Apache2": "Apache-2.0"}


@dataclass(frozen=True)
class Subject:
    """The release that the SBOM describes. `sha256` is the hash of the packed bundle, `at` the time of the commit."""

    name: str
    version: str
    sha256: str
    commit: str
    at: datetime


def build_sbom(subject: Subject, bundle: Path) -> str:
    """Return the SBOM as JSON, which depends on the arguments only.

    Raises NotReleasable if the packages in the bundle are not those that its requirements.txt pins.
    """
    found = {canonicalize_name(each.name): each for each in distributions(path=[str(bundle)])}
    pinned = {canonicalize_name(name): (version, hashes) for name, version, hashes in _pins(bundle)}
    installed, pinned_versions = (
        {name: found[name].version for name in found},
        {name: pinned[name][0] for name in pinned},
    )
    if installed != pinned_versions:
        raise NotReleasable(f"the bundle holds {installed}, and src/requirements.txt pins {pinned_versions}")
    packages = {name: _component(each, pinned[name][1]) for name, each in found.items()}
    dependencies = {name: _dependencies(each) & packages.keys() for name, each in found.items()}
    bundle_component = Component(
        name=subject.name,
        version=subject.version,
        type=ComponentType.APPLICATION,
        bom_ref=f"{subject.name}@{subject.version}",
        licenses=[LicenseFactory().make_from_string("Apache-2.0")],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=subject.sha256)],
    )
    bom = Bom(
        serial_number=uuid5(NAMESPACE_URL, f"{subject.name}@{subject.version}#{subject.commit}"),
        metadata=BomMetaData(component=bundle_component, timestamp=subject.at),
        components=packages.values(),
    )
    for name, component in packages.items():
        bom.register_dependency(component, [packages[each] for each in dependencies[name]])
    indirect = {each for some in dependencies.values() for each in some}
    bom.register_dependency(bundle_component, [packages[each] for each in packages.keys() - indirect])
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _pins(bundle: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Yield name, version and hashes of each pinned package."""
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
    name = distribution.metadata.get("License-Expression") or distribution.metadata.get("License") or "NOASSERTION"
    return LicenseFactory().make_from_string(_SPDX.get(name, name))


def _dependencies(distribution: Distribution) -> set[NormalizedName]:
    """Return the names of the packages that the distribution requires without extras."""
    requirements = map(Requirement, distribution.requires or [])
    return {
        canonicalize_name(each.name) for each in requirements if not each.marker or each.marker.evaluate({"extra": ""})
    }
