"""How cold is too cold, by crop and stage: the published critical temperatures.

Values were measured after half an hour at the temperature. `t10_c` kills one bud in ten, `t90_c` nine in ten.

Sources:
- Fruit trees: Washington State University Extension bulletins EB0913 (apple), EB0978 (pear), EB1128 (sweet cherry),
  EB0914 (peach), EB1240 (apricot) and the WSU figures for European plum, as tabulated by Michigan State University
  Extension ("Critical Spring Temperatures for Tree Fruit Bud Development Stages") and Penn State Extension. They are
  published in whole degrees Fahrenheit and kept so here; the conversion is exact.
- Grape: FAO, Frost Protection: fundamentals, practice and economics, vol. 1 (Snyder & de Melo-Abreu, 2005), chapter 4;
  the same values in Fahrenheit by Michigan State University Extension.
- Potato leaves, maize, beans: damage between 0 and -2 °C ("very frost sensitive"), after the relative frost resistance
  of crops in Wilson, Payne & Boyd, Scientific Reports 13 (2023), PMC10202904, table 2. No T10 and T90 are published
  for them; the two ends of the range stand in their place, which `Crop.published` says.
"""

from __future__ import annotations

from dataclasses import dataclass

from village_apps.phrases import Phrase, phrase

BUDS = phrase("buds")
FLOWERS = phrase("flowers")
FRUITS = phrase("young fruits")
LEAVES = phrase("leaves")
SHOOTS = phrase("shoots")


@dataclass(frozen=True)
class Stage:
    """How far a crop has grown.

    Attributes:
        key: as it stands in addresses.
        name: for people.
        part: what the frost kills at this stage, in the plural.
        t10_c: temperature at which one in ten dies, °C.
        t90_c: temperature at which nine in ten die, °C; lower than `t10_c`.
    """

    key: str
    name: Phrase
    part: Phrase
    t10_c: float
    t90_c: float


@dataclass(frozen=True)
class Crop:
    """A crop and its stages, from the first to the last.

    Attributes:
        published: "kill" where T10 and T90 are published, "range" where only a range of damage is.
        source: where the numbers come from, for the page.
    """

    key: str
    name: Phrase
    picture: str
    stages: tuple[Stage, ...]
    source: str
    published: str = "kill"

    def stage(self, key: str) -> Stage | None:
        """The stage of that key."""
        return next((stage for stage in self.stages if stage.key == key), None)


def celsius(fahrenheit: float) -> float:
    """Exact conversion."""
    return (fahrenheit - 32) * 5 / 9


def _stage(key: str, name: Phrase, part: Phrase, t10_f: float, t90_f: float) -> Stage:
    return Stage(key, name, part, celsius(t10_f), celsius(t90_f))


_SWOLLEN = phrase("Buds swelling")
_GREEN_TIP = phrase("Green tips showing")
_TIGHT = phrase("Buds in a tight cluster")
_FIRST_WHITE = phrase("First white showing")
_FULL_WHITE = phrase("Buds fully white")
_FIRST_PINK = phrase("First pink showing")
_FIRST_BLOOM = phrase("First flowers open")
_FULL_BLOOM = phrase("Full bloom")
_POST_BLOOM = phrase("Petals falling, small fruits")
_CALYX_RED = phrase("Red calyx showing")

APPLE = Crop(
    "apple",
    phrase("Apple"),
    "fruit",
    (
        _stage("silver-tip", phrase("Silver tips showing"), BUDS, 15, 2),
        _stage("green-tip", _GREEN_TIP, BUDS, 18, 10),
        _stage("half-inch-green", phrase("Leaves as long as a fingernail"), BUDS, 23, 15),
        _stage("tight-cluster", _TIGHT, BUDS, 27, 21),
        _stage("first-pink", _FIRST_PINK, BUDS, 28, 24),
        _stage("full-pink", phrase("Buds fully pink"), BUDS, 28, 25),
        _stage("first-bloom", _FIRST_BLOOM, FLOWERS, 28, 25),
        _stage("full-bloom", _FULL_BLOOM, FLOWERS, 28, 25),
        _stage("post-bloom", _POST_BLOOM, FRUITS, 28, 25),
    ),
    "WSU Extension EB0913",
)

PEAR = Crop(
    "pear",
    phrase("Pear"),
    "pear",
    (
        _stage("scales-separating", _SWOLLEN, BUDS, 15, 0),
        _stage("buds-exposed", phrase("Flower buds showing"), BUDS, 20, 6),
        _stage("tight-cluster", _TIGHT, BUDS, 24, 15),
        _stage("first-white", _FIRST_WHITE, BUDS, 25, 19),
        _stage("full-white", _FULL_WHITE, BUDS, 26, 22),
        _stage("first-bloom", _FIRST_BLOOM, FLOWERS, 27, 23),
        _stage("full-bloom", _FULL_BLOOM, FLOWERS, 28, 24),
        _stage("post-bloom", _POST_BLOOM, FRUITS, 28, 24),
    ),
    "WSU Extension EB0978",
)

PEACH = Crop(
    "peach",
    phrase("Peach"),
    "peach",
    (
        _stage("swollen", _SWOLLEN, BUDS, 18, 1),
        _stage("calyx-green", phrase("Green calyx showing"), BUDS, 21, 5),
        _stage("calyx-red", _CALYX_RED, BUDS, 23, 9),
        _stage("first-pink", _FIRST_PINK, BUDS, 25, 15),
        _stage("first-bloom", _FIRST_BLOOM, FLOWERS, 26, 21),
        _stage("full-bloom", _FULL_BLOOM, FLOWERS, 27, 24),
        _stage("post-bloom", _POST_BLOOM, FRUITS, 28, 25),
    ),
    "WSU Extension EB0914",
)

SWEET_CHERRY = Crop(
    "sweet-cherry",
    phrase("Sweet cherry"),
    "cherry",
    (
        _stage("swollen", _SWOLLEN, BUDS, 17, 5),
        _stage("side-green", phrase("Green on the side of the buds"), BUDS, 22, 9),
        _stage("green-tip", _GREEN_TIP, BUDS, 25, 14),
        _stage("tight-cluster", _TIGHT, BUDS, 26, 17),
        _stage("open-cluster", phrase("Buds in an open cluster"), BUDS, 27, 21),
        _stage("first-white", _FIRST_WHITE, BUDS, 27, 24),
        _stage("first-bloom", _FIRST_BLOOM, FLOWERS, 28, 25),
        _stage("full-bloom", _FULL_BLOOM, FLOWERS, 28, 25),
        _stage("post-bloom", _POST_BLOOM, FRUITS, 28, 25),
    ),
    "WSU Extension EB1128",
)

APRICOT = Crop(
    "apricot",
    phrase("Apricot"),
    "apricot",
    (
        _stage("tips-separate", phrase("Tips of the buds parting"), BUDS, 20, 0),
        _stage("calyx-red", _CALYX_RED, BUDS, 22, 9),
        _stage("first-white", _FIRST_WHITE, BUDS, 24, 14),
        _stage("first-bloom", _FIRST_BLOOM, FLOWERS, 25, 19),
        _stage("full-bloom", _FULL_BLOOM, FLOWERS, 27, 22),
        _stage("in-the-shuck", _POST_BLOOM, FRUITS, 27, 24),
        _stage("green-fruit", phrase("Green fruits"), FRUITS, 28, 25),
    ),
    "WSU Extension EB1240",
)

PLUM = Crop(
    "plum",
    phrase("Plum"),
    "plum",
    (
        _stage("swollen", _SWOLLEN, BUDS, 14, 0),
        _stage("side-white", phrase("White on the side of the buds"), BUDS, 17, 3),
        _stage("tip-green", _GREEN_TIP, BUDS, 20, 7),
        _stage("tight-cluster", _TIGHT, BUDS, 24, 16),
        _stage("first-white", _FIRST_WHITE, BUDS, 26, 22),
        _stage("first-bloom", _FIRST_BLOOM, FLOWERS, 27, 23),
        _stage("full-bloom", _FULL_BLOOM, FLOWERS, 28, 23),
        _stage("post-bloom", _POST_BLOOM, FRUITS, 28, 23),
    ),
    "WSU, MSU Extension (European plum)",
)

GRAPE = Crop(
    "grape",
    phrase("Grape"),
    "grape",
    (
        _stage("bud-burst", phrase("Buds bursting"), SHOOTS, 25, 16),
        _stage("first-leaf", phrase("First leaf open"), SHOOTS, 27, 21),
        _stage("second-leaf", phrase("Second leaf open"), SHOOTS, 28, 22),
        _stage("third-leaf", phrase("Third leaf open"), SHOOTS, 28, 26),
        _stage("fourth-leaf", phrase("Fourth leaf open"), SHOOTS, 28, 27),
    ),
    "FAO, Frost Protection vol. 1, ch. 4",
)

_UP = phrase("Leaves above the ground")
_RANGE_SOURCE = "Wilson, Payne & Boyd 2023, Scientific Reports 13, table 2"

POTATO = Crop("potato", phrase("Potato"), "potato", (Stage("leaves", _UP, LEAVES, 0.0, -2.0),), _RANGE_SOURCE, "range")
MAIZE = Crop("maize", phrase("Maize"), "maize", (Stage("leaves", _UP, LEAVES, 0.0, -2.0),), _RANGE_SOURCE, "range")
BEANS = Crop("beans", phrase("Beans"), "beans", (Stage("leaves", _UP, LEAVES, 0.0, -2.0),), _RANGE_SOURCE, "range")

CROPS: tuple[Crop, ...] = (POTATO, MAIZE, BEANS, APPLE, PEAR, PEACH, PLUM, APRICOT, SWEET_CHERRY, GRAPE)
"""In the order of the page."""


def find_crop(key: str) -> Crop | None:
    """The crop of that key."""
    return next((crop for crop in CROPS if crop.key == key), None)
