"""All policies of a company: article title -> the attributes that its article states.

The subject ``{s}`` of every wording is the company's name. Attribute names are unique over all articles,
because ids of facts are made of them.
"""

from data.generator.attribute import Attribute
from data.generator.wording.policies_account import ACCOUNT
from data.generator.wording.policies_buying import BUYING
from data.generator.wording.policies_guests import GUESTS
from data.generator.wording.policies_parts import PARTS
from data.generator.wording.policies_prices import PRICES
from data.generator.wording.policies_service import SERVICE

POLICIES: dict[str, tuple[Attribute, ...]] = {**BUYING, **PRICES, **SERVICE, **PARTS, **ACCOUNT, **GUESTS}
