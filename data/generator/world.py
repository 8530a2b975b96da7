"""A fictional maker of connected instruments: its products, their facts and their error codes."""

from collections.abc import Collection
from dataclasses import dataclass
from random import Random

from data.generator.attribute import Attribute, Fact
from data.generator.wording.errors import ERROR_ATTRIBUTES
from data.generator.wording.products import PRODUCT_ATTRIBUTES

_NOUNS = (
    "Heron Basalt Drift Tarn Sparrow Granite Comet Willow Falcon Marble Harbour Juniper Otter Copper Meadow Ember "
    "Badger Cobalt Canyon Maple Swift Onyx Delta Cedar Raven Quartz Summit Birch Lynx Amber River Poplar Marten Flint "
    "Glacier Alder Plover Slate Ridge Hazel Kestrel Topaz Valley Rowan Osprey Garnet Island Aspen Curlew Opal Lagoon "
    "Laurel Beaver Coral Prairie Clover Magpie Pebble Tundra Fern Dolphin Nickel Cliff Ivy Pelican Silver Bay Myrtle "
    "Walrus Iron Brook Thistle Puffin Chalk Fjord Linden Gannet Zircon Moor Acorn Petrel Jasper Cove Sorrel Egret "
    "Agate Dune Lotus Toucan Pewter Reef Violet Condor Pumice Grove Orchid Tiger Mica Lake Saffron Jackal Gypsum Hill "
    "Bramble Bison Sulphur Creek Tulip Panther Carbon Forest Nettle Gibbon Neon Desert Reed Camel Argon Steppe Peony "
    "Lemur Helium Swamp Iris Ibex Radon Atoll Dahlia Moose Xenon Marsh Lily Stork Boron Grotto Rose Crane Galena "
    "Spring Daisy"
)
NOUNS = tuple(_NOUNS.split())
NUMBERS = tuple(range(10, 100, 5))
KINDS = (
    "flow meter",
    "pressure gauge",
    "level sensor",
    "temperature probe",
    "vibration monitor",
    "gas detector",
    "humidity sensor",
    "power meter",
    "wind gauge",
    "water tester",
    "noise meter",
    "light sensor",
)
COMPANY_WORDS = (
    "Norvane",
    "Talvik",
    "Brenmoor",
    "Castellan",
    "Orrin",
    "Velmora",
    "Haskel",
    "Lindqvar",
    "Pemberly",
    "Sorrento",
    "Drayton",
    "Ulmark",
    "Wexcombe",
    "Yarrow",
    "Zelmont",
    "Falkirk",
    "Marisol",
    "Quillan",
)
CODES = tuple(f"E{n}" for n in range(11, 60))


@dataclass(frozen=True)
class Product:
    """One instrument. ``errors`` maps a code such as ``E17`` to its (cause, remedy) facts."""

    name: str
    kind: str
    facts: tuple[Fact, ...]
    errors: dict[str, tuple[Fact, ...]]

    @property
    def short(self) -> str:
        """The name without its number, as people write it the second time."""
        return self.name.split()[0]

    @property
    def error_facts(self) -> tuple[Fact, ...]:
        """Causes and remedies, in the order of the codes."""
        return tuple(fact for facts in self.errors.values() for fact in facts)


@dataclass(frozen=True)
class Company:
    """A name and its products; product names differ in their first word."""

    name: str
    products: tuple[Product, ...]

    @classmethod
    def sample(
        cls,
        rng: Random,
        n_products: int,
        *,
        name: str | None = None,
        codes_per_product: int = 3,
        excluded_names: Collection[str] = (),
    ) -> "Company":
        """Draws a company; no product is called by one of ``excluded_names``."""
        products = [
            sample_product(rng, noun, codes_per_product, excluded_names) for noun in rng.sample(NOUNS, n_products)
        ]
        return cls(name or rng.choice(COMPANY_WORDS), tuple(products))


def sample_product(
    rng: Random,
    noun: str,
    n_codes: int,
    excluded_names: Collection[str] = (),
    attributes: tuple[Attribute, ...] = PRODUCT_ATTRIBUTES,
) -> Product:
    """Draws a product called ``noun`` and a number, with all its attributes and ``n_codes`` error codes."""
    name = rng.choice([f"{noun} {n}" for n in NUMBERS if f"{noun} {n}" not in excluded_names])
    facts = tuple(Fact(name, a, a.sample(rng)) for a in attributes)
    errors = {
        code: tuple(Fact(error_subject(code, name), a, a.sample(rng)) for a in ERROR_ATTRIBUTES)
        for code in sorted(rng.sample(CODES, n_codes))
    }
    return Product(name, rng.choice(KINDS), facts, errors)


def error_subject(code: str, product: str) -> str:
    """How a question names an error code."""
    return f"error {code} on the {product}"
