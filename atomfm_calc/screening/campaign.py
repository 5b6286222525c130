"""`Campaign`: everything that a screening depends on, read from one YAML file."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from atomfm_calc.calculators.soundness import SHORTEST_DISTANCE
from atomfm_calc.config import CONFIG
from atomfm_calc.errors import ConfigError


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class FileCandidates:
    """Structures in files."""

    kind: Literal["files"] = "files"
    """Key of `SOURCES`."""
    paths: tuple[str, ...]
    """Files, folders (of CIF files) and patterns such as "data/*.extxyz.gz"; see `FORMATS`."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class RandomCandidates:
    """Atoms at random in a box, not periodic: the structures of the paper's exascale run."""

    kind: Literal["random"]
    """Key of `SOURCES`."""
    count: int
    """How many."""
    seed: int = 42
    """Another seed gives other structures."""
    min_atoms: int = 2
    """Fewest atoms; the number is uniform."""
    max_atoms: int = 500
    """Most atoms."""
    max_atomic_number: int = 94
    """Elements are uniform from hydrogen up to this one."""
    box: float = 10.0
    """Edge of the box in Å; positions are uniform."""
    min_distance: float = 0.0
    """Å between any two atoms; 0: none, as in the paper."""

    def __post_init__(self) -> None:
        if not (self.count >= 0 and 1 <= self.min_atoms <= self.max_atoms and self.box > 0.0):
            raise ConfigError(
                f"count {self.count}, min_atoms {self.min_atoms}, max_atoms {self.max_atoms}, box "
                f"{self.box}: atoms count from 1, max_atoms is not below min_atoms, box above 0"
            )
        if not (1 <= self.max_atomic_number <= 118 and self.seed >= 0 <= self.min_distance):
            raise ConfigError(
                f"max_atomic_number {self.max_atomic_number} must be 1 to 118, seed {self.seed} "
                f"and min_distance {self.min_distance} not negative"
            )


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class DecoratedPrototypes:
    """Every choice of elements on the sites of crystal prototypes."""

    kind: Literal["decorate"]
    """Key of `SOURCES`."""
    prototypes: tuple[str, ...]
    """Keys of `PROTOTYPES`."""
    elements: tuple[tuple[str, ...], ...]
    """Symbols allowed on each kind of site: the first list for A, the second for B, ..."""
    radius_scale: float = 1.0
    """Factor of the covalent radii, whose sum is the shortest distance in the crystal."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class SubstitutedStructures:
    """Structures of files with some elements exchanged for others."""

    kind: Literal["substitute"]
    """Key of `SOURCES`."""
    paths: tuple[str, ...]
    """As in `FileCandidates`."""
    substitutions: tuple[dict[str, str], ...]
    """Each gives one candidate per structure: {"Na": "K", "Cl": "Br"}."""
    scale_volume: bool = True
    """Scale periodic cells by the cubes of the mean covalent radii."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class RattledStructures:
    """Structures of files with displaced atoms and strained cells."""

    kind: Literal["rattle"]
    """Key of `SOURCES`."""
    paths: tuple[str, ...]
    """As in `FileCandidates`."""
    copies: int = 10
    """Candidates per structure."""
    seed: int = 42
    """Another seed gives other displacements."""
    displacement: float = 0.1
    """Standard deviation per direction, Å."""
    strain: float = 0.0
    """Standard deviation of each component of a symmetric strain of periodic cells."""


Candidates = Annotated[
    FileCandidates
    | RandomCandidates
    | DecoratedPrototypes
    | SubstitutedStructures
    | RattledStructures,
    Field(discriminator="kind"),
]


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Relaxation:
    """Batched relaxation with FIRE before the evaluation, by the stage's first head."""

    cell: bool = False
    """Relax cells of structures that are periodic in three directions, too."""
    max_force: float = 0.05
    """eV/Å at which a structure is relaxed; for cells, the largest stress times volume per atom."""
    max_steps: int = 300
    """A structure that is not relaxed by then goes on as it is (column "relaxed" is False)."""

    def __post_init__(self) -> None:
        if self.max_force <= 0.0 or self.max_steps < 1:
            raise ConfigError(
                f"max_force {self.max_force} must be above 0, max_steps {self.max_steps} at least 1"
            )


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Limits:
    """Keep rows whose column lies in a range; rows without a value are dropped."""

    column: str
    """Of the stage's results."""
    minimum: float | None = None
    """Smallest value kept."""
    maximum: float | None = None
    """Largest value kept."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Elements:
    """Keep compositions."""

    required: tuple[str, ...] = ()
    """Symbols that must be there."""
    allowed: tuple[str, ...] = ()
    """No other symbol may be there; empty: any."""
    forbidden: tuple[str, ...] = ()
    """Symbols that must not be there."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Top:
    """Keep the best rows of all ranks."""

    by: str
    """Column of the stage's results."""
    largest: bool = False
    """Whether the largest values are the best."""
    count: int | None = None
    """How many; give this or `fraction`."""
    fraction: float | None = None
    """Part of all candidates of the stage that have a value."""

    def __post_init__(self) -> None:
        if (self.count is None) == (self.fraction is None):
            raise ConfigError(
                f"count is {self.count} and fraction {self.fraction}; give exactly one of them"
            )
        if (self.count or 0) < 0 or not 0.0 <= (self.fraction or 0.0) <= 1.0:
            raise ConfigError(
                f"count is {self.count}, fraction {self.fraction}; a count is not negative, a "
                "fraction 0 to 1"
            )


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Novelty:
    """Keep only the best row of each fingerprint, and none that is known."""

    by: Literal["composition", "prototype"] = "composition"
    """Column: reduced formula, or formula pattern with coordination numbers."""
    known: str | None = None
    """Structure file whose fingerprints are dropped."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Hull:
    """Competing phases: adds the column "energy_above_hull", eV/atom."""

    phases: str
    """Structure file; with elements on their own, or no candidate of these has a value."""
    energies: str | None = None
    """Key of the total energies (eV) in its `info`; None: the stage's first head computes them."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Stage:
    """One pass over the candidates that the stage before has kept."""

    name: str = "evaluate"
    """Folder of its results."""
    heads: tuple[str, ...] = ()
    """Levels of theory, or ("all",); empty: the card's default. Columns "energy" and so on are of
    the first; with "all", of the card's default."""
    forces: bool = False
    """Columns "max_force" and "rms_force", eV/Å, of the first head."""
    stress: bool = False
    """Columns "pressure" and "max_stress", eV/Å³, of the first head."""
    relax: Relaxation | None = None
    """Relax first; None: evaluate as it comes."""
    store: tuple[Literal["structures", "forces"], ...] = ()
    """Arrays to keep in the rows; structures are kept in any case where they were relaxed."""
    prototype: bool = False
    """Column "prototype", see `fingerprint`."""
    hull: Hull | None = None
    """Column "energy_above_hull"; None: none."""
    limits: tuple[Limits, ...] = ()
    """All must hold."""
    elements: Elements | None = None
    """Compositions to keep; None: all."""
    novelty: Novelty | None = None
    """None: duplicates stay."""
    top: Top | None = None
    """Applied last; None: all that passed."""

    @property
    def selects(self) -> bool:
        """Whether there is anything that the stage would not keep."""
        return bool(self.limits or self.elements or self.novelty or self.top)

    def __post_init__(self) -> None:
        if not self.name.replace("-", "").replace("_", "").isalnum():
            raise ConfigError(f"stage name {self.name!r}: use letters, digits, '-' and '_'")
        if "forces" in self.store and not self.forces:
            raise ConfigError("store has forces but forces is false; set forces: true")


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Campaign:
    """A screening, saved beside its results."""

    candidates: Candidates
    """What is screened."""
    stages: tuple[Stage, ...] = field(default_factory=lambda: (Stage(),))
    """A funnel: each sees what the one before kept."""
    model: str = "painn-lead"
    """Shipped name or model folder."""
    device: str = "auto"
    """As in `FoundationCalc`."""
    dtype: Literal["float32", "float64"] = "float32"
    """Precision of the network."""
    allow_unseen_elements: bool = False
    """Compute elements that a head was not trained on."""
    shortest_distance: float = SHORTEST_DISTANCE
    """Å; structures with closer atoms are quarantined. 0: only cells too small for their atoms."""
    block_size: int | None = None
    """Candidates of a block, the unit of work and of files; None: by their number."""
    max_atoms: int | None = None
    """Of a batch; None: by device."""
    max_edges: int | None = None
    """Of a batch; None: by device."""
    sink: Literal["parquet", "adios2"] = "parquet"
    """Format of the rows."""

    def __post_init__(self) -> None:
        names = [stage.name for stage in self.stages]
        if not names or len(set(names)) < len(names):
            raise ConfigError(f"stages are named {names}; there is at least one, names differ")
        if self.block_size is not None and self.block_size < 1:
            raise ConfigError(f"block_size is {self.block_size}; it must be at least 1")
        if self.shortest_distance < 0.0:
            raise ConfigError(f"shortest_distance is {self.shortest_distance}; 0 Å is the least")


def block_size_of(campaign: Campaign, n_candidates: int) -> int:
    """Candidates per block: as given, or about a thousand blocks of 200 to 20,000.

    It depends on nothing but campaign and candidates, so that a run can be continued on any number
    of ranks.
    """
    if campaign.block_size is not None:
        return campaign.block_size
    return int(min(max(n_candidates // 1000, 200), 20_000))
